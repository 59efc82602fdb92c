import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Makes a key and a certificate that vouches for itself; for the hosts that tests reach this machine by. */
export async function someCertificate(): Promise<{ key: string; cert: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'tenantry-certificate-'));
  try {
    await run(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-subj', '/CN=tenantry test', '-days', '2'],
        ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:0.0.0.0'],
        ...['-keyout', 'key.pem', '-out', 'cert.pem'],
      ],
      { cwd: directory },
    );
    const [key, cert] = await Promise.all(
      ['key.pem', 'cert.pem'].map((file) => readFile(join(directory, file), 'utf8')),
    );
    if (key === undefined || cert === undefined) throw new Error('openssl wrote two files');
    return { key, cert };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
