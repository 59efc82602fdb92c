import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, inject, test } from 'vitest';
import { signUpAndIn, startTestService } from '../support/test-service.ts';

const run = promisify(execFile);
const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const TSC = join(REPOSITORY, 'node_modules/typescript/bin/tsc');

/** A project that has installed the package as `npm run build` makes it. */
let project: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'tenantry-consumer-'));
  const installed = join(project, 'node_modules/tenantry');
  await mkdir(installed, { recursive: true });
  const build = [
    '-p',
    join(REPOSITORY, 'tsconfig.build.json'),
    '--outDir',
    join(installed, 'dist'),
  ];
  await run(process.execPath, [TSC, ...build, '--sourceMap', 'false', '--noCheck']);
  await cp(join(REPOSITORY, 'package.json'), join(installed, 'package.json'));
  await symlink(join(REPOSITORY, 'node_modules'), join(installed, 'node_modules'));
  await mkdir(join(project, 'node_modules/@types'));
  for (const name of ['mongodb', 'bson', 'fastify', 'jose', '@types/node'])
    await symlink(join(REPOSITORY, 'node_modules', name), join(project, 'node_modules', name));
  await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  return () => rm(project, { recursive: true });
}, 120_000);

test('the built package works in plain JavaScript, and lets the process end', async () => {
  await using service = await startTestService();
  const { organization, tokens } = await signUpAndIn(service);
  const program = `
    import { openTenantry, OrganizationNotFoundError } from 'tenantry';
    const [mongoUrl, masterDatabase, jwtSecret, name, token] = process.argv.slice(2);
    const tenantry = await openTenantry({ mongoUrl, masterDatabase, jwtSecret });
    const { records } = await tenantry.organization(name.toUpperCase());
    await records.insertOne({ n: 1 });
    await records.updateOne({ n: 1 }, { $inc: { n: 1 } });
    const missing = await tenantry.organization('nobody').catch((error) => error);
    console.log(JSON.stringify({
      found: await records.find({}, { projection: { _id: 0 } }).toArray(),
      role: (await tenantry.verifyToken(token)).role,
      missing: missing instanceof OrganizationNotFoundError && missing.code,
    }));
    await tenantry.close();
  `;
  await writeFile(join(project, 'program.js'), program);
  const { masterDatabase, jwtSecret } = service.settings;
  const options = [inject('mongoUrl'), masterDatabase, jwtSecret];
  const { stdout } = await run(
    process.execPath,
    ['program.js', ...options, organization.organization_name, tokens.access_token],
    { cwd: project },
  );
  expect(JSON.parse(stdout)).toEqual({
    ...{ found: [{ n: 2 }], role: 'owner', missing: 'organization_not_found' },
  });
});

test('its types, and the examples of its documentation, hold in a strict project', async () => {
  const guide = await readFile(join(REPOSITORY, 'docs/library.md'), 'utf8');
  const examples = [...guide.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code);
  expect(examples.length).toBeGreaterThan(3);
  const names = await Promise.all(
    examples.map(async (code, index) => {
      const name = `example-${index}.ts`;
      await writeFile(join(project, name), `${code}\nexport {};\n`);
      return name;
    }),
  );
  // Express brings no types of its own: what the example uses of it.
  await writeFile(join(project, 'express.d.ts'), EXPRESS);
  const strict = [
    ...['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--noEmit'],
    ...['--verbatimModuleSyntax', '--module', 'NodeNext', '--target', 'ES2022', '--types', 'node'],
    ...['--lib', 'ES2023,ESNext.Disposable', '--skipLibCheck'],
  ];
  const checking = run(process.execPath, [TSC, ...strict, 'express.d.ts', ...names], {
    cwd: project,
  });
  await checking.catch(({ stdout }: { stdout: string }) => expect(stdout).toBe(''));
});

const EXPRESS = `declare module 'express' {
  export interface Request { headers: Record<string, string | undefined>; body: never; params: Record<string, string> }
  export interface Response { locals: Record<string, unknown>; status(code: number): Response; json(body: unknown): void }
  export type NextFunction = (error?: unknown) => void;
  type Handler = (request: Request, response: Response, next: NextFunction) => unknown;
  type ErrorHandler = (error: unknown, request: Request, response: Response, next: NextFunction) => unknown;
  interface App {
    use(...handlers: (Handler | ErrorHandler)[]): void;
    get(path: string, ...handlers: Handler[]): void;
    post(path: string, ...handlers: Handler[]): void;
    listen(port: number): void;
  }
  const express: { (): App; json(): Handler };
  export default express;
}
`;
