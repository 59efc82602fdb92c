/**
 * Whether cells that a spreadsheet would take for a formula are written with an apostrophe before them, and read without.
 * `plain`: they are written and read as they are.
 */
export type FormulaMode = 'escape' | 'plain';

/**
 * What spreadsheets run when they open a CSV: texts that begin with one of these, in the wide forms of East Asian scripts
 * as well. Apostrophes before it belong to it, so that an escaped text that is escaped again can be told from it.
 *
 * @see https://owasp.org/www-community/attacks/CSV_Injection
 */
const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/;

/** @returns the text as it is safe in a cell */
export function escapeFormula(text: string): string {
  return FORMULA.test(text) ? `'${text}` : text;
}

/** The inverse of {@link escapeFormula}. */
export function unescapeFormula(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell;
}
