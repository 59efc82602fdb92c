import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = fileURLToPath(new URL('../../src/', import.meta.url));
/** Deep enough for every document; a type that contains itself has to end somewhere. */
const MAX_DEPTH = 5;

/**
 * The paths of every field of the documents of the master database, as their types declare them.
 *
 * @returns by the name of the constant that declares the collection: `SESSIONS` → `admin_id`, `client.address` …
 */
export function documentFields(): Map<string, Set<string>> {
  const program = programOf();
  const checker = program.getTypeChecker();
  const fields = new Map<string, Set<string>>();
  const visit = (node: ts.Node): void => {
    const opened = openedCollection(node);
    if (opened !== undefined) {
      const paths = fields.get(opened.constant) ?? new Set();
      collect(checker, checker.getTypeFromTypeNode(opened.type), '', paths);
      fields.set(opened.constant, paths);
    }
    ts.forEachChild(node, visit);
  };
  for (const source of program.getSourceFiles()) if (isOwn(source)) visit(source);
  return fields;
}

function programOf(): ts.Program {
  const path = `${ROOT}tsconfig.json`;
  const { config } = ts.readConfigFile(path, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  return ts.createProgram([`${SOURCES}services.ts`], options);
}

/** A call of `masterCollection<Type>(master, CONSTANT)`, which is how every store opens its collection. */
function openedCollection(node: ts.Node): { constant: string; type: ts.TypeNode } | undefined {
  if (!ts.isCallExpression(node) || node.expression.getText() !== 'masterCollection')
    return undefined;
  const type = node.typeArguments?.[0];
  const constant = node.arguments[1]?.getText();
  return type === undefined || constant === undefined ? undefined : { constant, type };
}

function collect(checker: ts.TypeChecker, type: ts.Type, path: string, into: Set<string>): void {
  for (const part of type.isUnion() ? type.types : [type]) {
    const element = checker.getIndexTypeOfType(part, ts.IndexKind.Number);
    if (element !== undefined && !isText(part)) collect(checker, element, path, into);
    else if (isDeclaredHere(part) && path.split('.').length <= MAX_DEPTH)
      for (const property of checker.getPropertiesOfType(part)) {
        const own = path === '' ? property.name : `${path}.${property.name}`;
        into.add(own);
        collect(checker, checker.getTypeOfSymbol(property), own, into);
      }
  }
}

function isText(type: ts.Type): boolean {
  return (type.flags & ts.TypeFlags.StringLike) !== 0;
}

/** A type of ours, not of the driver or the language: an id or a date is a value. */
function isDeclaredHere(type: ts.Type): boolean {
  const symbol = type.aliasSymbol ?? type.getSymbol();
  return symbol?.declarations?.some((one) => isOwn(one.getSourceFile())) ?? false;
}

function isOwn({ fileName }: ts.SourceFile): boolean {
  return fileName.startsWith(SOURCES);
}
