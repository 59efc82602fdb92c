import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { probeMongod } from '../../../../src/database/embedded/mongod-version.ts';
import { temporaryFolder, writeFakeMongod, writeScript } from './fake-mongod.ts';

describe('probeMongod', () => {
  test.each(['6.0.0', '6.0.5', '7.0.28', '8.2.6', '10.0.1'])('accepts %s', async (version) => {
    const path = await writeFakeMongod(join(await temporaryFolder(), 'mongod'), version);
    expect(await probeMongod(path)).toEqual({ usable: true, version });
  });

  test.each(['4.4.29', '5.0.31'])('refuses %s, which has no fence', async (version) => {
    const path = await writeFakeMongod(join(await temporaryFolder(), 'mongod'), version);
    expect(await probeMongod(path)).toEqual({
      usable: false,
      reason: `is MongoDB ${version}; 6.0 or newer is needed`,
    });
  });

  test.each([
    {
      name: 'a missing libcurl',
      lines: [
        'echo "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file" >&2',
        'exit 127',
      ],
      reason:
        /libcurl\.so\.4: cannot open shared object file\ninstall libcurl 4 .*apt-get install libcurl4/,
    },
    {
      name: 'a missing OpenSSL 3',
      lines: [
        'echo "mongod: error while loading shared libraries: libcrypto.so.3: no" >&2',
        'exit 127',
      ],
      reason: /libcrypto\.so\.3: no\nit needs OpenSSL 3/,
    },
    {
      name: 'an old C library',
      lines: ['echo "mongod: /lib/libc.so.6: version GLIBC_2.34 not found" >&2', 'exit 1'],
      reason: /this system is older/,
    },
    { name: 'a CPU without AVX', lines: ['kill -ILL $$'], reason: /AVX/ },
    { name: 'a silent failure', lines: ['exit 3'], reason: /^`--version` failed \(3\)$/ },
    { name: 'some other program', lines: ['echo hello'], reason: /does not answer like a mongod/ },
  ])('explains $name', async ({ lines, reason }) => {
    const path = await writeScript(join(await temporaryFolder(), 'mongod'), ...lines);
    expect(await probeMongod(path)).toEqual({
      usable: false,
      reason: expect.stringMatching(reason),
    });
  });

  test('explains a file that is not there, not executable, or no program', async () => {
    const folder = await temporaryFolder();
    expect(await probeMongod(join(folder, 'none'))).toMatchObject({ reason: /^no such file/ });
    const file = join(folder, 'mongod');
    await writeFile(file, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 0]));
    expect(await probeMongod(file)).toEqual({ usable: false, reason: 'not executable' });
    await chmod(file, 0o755);
    expect(await probeMongod(file)).toMatchObject({ usable: false });
  });
});
