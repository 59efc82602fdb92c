import { access, constants, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';

/** Whether `path` is a file this process may execute. */
export async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/**
 * Every executable called `name`, in the order of the search path.
 *
 * @param searchPath - a value of PATH; relative entries are skipped, so that the working folder never decides what runs
 */
export async function findExecutables(name: string, searchPath: string): Promise<string[]> {
  const candidates = searchPath
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, name));
  const executable = await Promise.all(candidates.map(isExecutableFile));
  return [...new Set(candidates.filter((_, index) => executable[index]))];
}
