import type { Environment } from './setting-reader.ts';

/** Names that other software has for a setting; MONGO_URI, JWT_SECRETS and the like are found by their spelling. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['MONGODB_URI', 'MONGO_URL'],
  ['MONGODB_URL', 'MONGO_URL'],
  ['MONGO_CONNECTION_STRING', 'MONGO_URL'],
  ['MONGO_DETAILS', 'MONGO_URL'],
  ['DATABASE_URL', 'MONGO_URL'],
  ['MASTER_DATABASE', 'MASTER_DB'],
  ['MASTER_DB_NAME', 'MASTER_DB'],
  ['TENANT_DATABASE', 'TENANT_DB'],
  ['SECRET_KEY', 'JWT_SECRET'],
  ['JWT_SECRET_KEY', 'JWT_SECRET'],
  ['ACCESS_TOKEN_EXPIRE_MINUTES', 'JWT_EXPIRES_IN'],
  ['JWT_EXPIRATION', 'JWT_EXPIRES_IN'],
  ['BCRYPT_ROUNDS', 'BCRYPT_COST'],
  ['MAIL_URL', 'SMTP_URL'],
  ['EMAIL_URL', 'SMTP_URL'],
  ['SMTP_HOST', 'SMTP_URL'],
  ['SMTP_FROM', 'MAIL_FROM'],
  ['BASE_URL', 'PUBLIC_URL'],
  ['OPERATOR_MAIL', 'OPERATOR_EMAIL'],
  ['ADMIN_EMAIL', 'OPERATOR_EMAIL'],
  ['ADMIN_PASSWORD', 'OPERATOR_PASSWORD'],
]);

/** Shorter names (HOST, PORT) are one letter away from too many that mean something else. */
const SHORTEST = 7;
const LONG = 10;

/**
 * Variables that are not settings but look as if they were meant to be, each with the setting it resembles. Only
 * names are reported, never values.
 */
export function misspeltSettings(
  environment: Environment,
  settings: readonly string[],
): { name: string; setting: string }[] {
  return Object.keys(environment)
    .filter((name) => environment[name] && !settings.includes(name))
    .flatMap((name) => {
      const setting = settings.find((it) => resembles(name, it)) ?? otherName(name, environment);
      return setting === undefined ? [] : [{ name, setting }];
    });
}

/** Platforms set some of these for other programs, so they are of interest only where the setting is missing. */
function otherName(name: string, environment: Environment): string | undefined {
  const setting = OTHER_NAMES.get(name);
  return setting !== undefined && environment[setting] ? undefined : setting;
}

function resembles(name: string, setting: string): boolean {
  if (name.toUpperCase() === setting) return true;
  if (setting.length < SHORTEST) return false;
  return editDistance(name.toUpperCase(), setting) <= (setting.length < LONG ? 1 : 2);
}

/** How many letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editDistance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0;
  for (let row = 1; row <= from.length; row++) {
    rows[row] = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      rows[row]?.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (same ? 0 : 1),
          swapped && row > 1 ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
  }
  return at(from.length, to.length);
}
