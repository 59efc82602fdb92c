import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DataFolder, readPid } from '../../../../src/database/embedded/data-folder.ts';
import {
  DataFolderInUseError,
  EmbeddedMongodError,
} from '../../../../src/database/embedded/embedded-errors.ts';
import { temporaryFolder } from './fake-mongod.ts';

describe('DataFolder', () => {
  test('is made for this user only', async () => {
    const path = join(await temporaryFolder(), 'a', 'data');
    const folder = await DataFolder.open(path);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(folder.database)).mode & 0o777).toBe(0o700);
    folder[Symbol.dispose]();
  });

  test('is held by one at a time, also through another path, and free again after', async () => {
    const path = await temporaryFolder();
    const link = join(await temporaryFolder(), 'link');
    await symlink(path, link);
    const folder = await DataFolder.open(path);
    for (const other of [path, link]) {
      const error = await DataFolder.open(other).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DataFolderInUseError);
      expect(error).toMatchObject({ code: 'data_folder_in_use', folder: path, pid: process.pid });
    }
    folder[Symbol.dispose]();
    folder[Symbol.dispose]();
    (await DataFolder.open(link))[Symbol.dispose]();
  });

  test('of several that open it at once, one gets it', async () => {
    const path = await temporaryFolder();
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => DataFolder.open(path)),
    );
    const opened = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    );
    expect(opened).toHaveLength(1);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(9);
    opened[0]?.[Symbol.dispose]();
  });

  test('a process id that has been given to another program does not lock it', async () => {
    const path = await temporaryFolder();
    await writeFile(join(path, 'service.pid'), '1\n');
    const folder = await DataFolder.open(path);
    expect(await readFile(join(path, 'service.pid'), 'utf8')).toBe(`${process.pid}\n`);
    folder[Symbol.dispose]();
  });

  test('that cannot be made, or whose lock cannot be read, is a clear error', async () => {
    const path = await temporaryFolder();
    await writeFile(join(path, 'file'), '');
    const error = await DataFolder.open(join(path, 'file', 'data')).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EmbeddedMongodError);
    expect(error).toMatchObject({ message: expect.stringMatching(/cannot be used: .*ENOTDIR/) });
    await mkdir(join(path, 'service.lock'));
    await expect(DataFolder.open(path)).rejects.toThrow(/cannot be locked/);
  });
});

test('readPid answers only for a process that runs', async () => {
  const file = join(await temporaryFolder(), 'pid');
  expect(readPid(file)).toBeUndefined();
  for (const content of ['', 'x', '-1', '0', '4194999']) {
    await writeFile(file, content);
    expect(readPid(file)).toBeUndefined();
  }
  await writeFile(file, `${process.pid}\n`);
  expect(readPid(file)).toBe(process.pid);
});
