import { execFile } from 'node:child_process';

/** What {@link probeMongod} found. */
export type MongodProbe = { usable: true; version: string } | { usable: false; reason: string };

/**
 * The oldest major version that works: the `collectionUUID` command field, the fence around every
 * tenant collection, came with 6.0.
 */
const MINIMUM_MAJOR = 6;
const PROBE_LIMIT_MS = 20_000;

/**
 * Runs `mongod --version`: the one check that covers a wrong architecture, a missing shared library,
 * a CPU without AVX and a version that is too old, on any platform.
 *
 * @param path - absolute path of the binary
 * @returns the version, e.g. `6.0.5`, or a reason for people; never throws
 */
export async function probeMongod(path: string): Promise<MongodProbe> {
  const { error, stdout, stderr } = await run(path);
  if (error !== null) return { usable: false, reason: explainFailure(error, stderr) };
  const version = /^\s*db version v?(\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  if (version === undefined) {
    return { usable: false, reason: '`--version` does not answer like a mongod' };
  }
  if (Number.parseInt(version, 10) < MINIMUM_MAJOR) {
    return {
      usable: false,
      reason: `is MongoDB ${version}; ${MINIMUM_MAJOR}.0 or newer is needed`,
    };
  }
  return { usable: true, version };
}

interface RunResult {
  error: (Error & { code?: unknown; signal?: unknown; killed?: boolean }) | null;
  stdout: string;
  stderr: string;
}

function run(path: string): Promise<RunResult> {
  return new Promise((resolve) => {
    execFile(path, ['--version'], { timeout: PROBE_LIMIT_MS }, (error, stdout, stderr) => {
      resolve({ error, stdout, stderr });
    });
  });
}

function explainFailure(error: NonNullable<RunResult['error']>, stderr: string): string {
  if (error.killed === true) return `\`--version\` gave no answer in ${PROBE_LIMIT_MS / 1000} s`;
  if (error.signal === 'SIGILL') {
    return 'this CPU lacks instructions it needs (MongoDB 5.0 and newer need AVX on x86-64)';
  }
  const message = stderr.trim().split('\n')[0] ?? '';
  const hint = LOADER_HINTS.find(({ pattern }) => pattern.test(message))?.hint;
  if (message !== '') return hint === undefined ? message : `${message}\n${hint}`;
  switch (error.code) {
    case 'ENOENT':
      return 'no such file, or its loader is missing (MongoDB needs glibc; musl systems such as Alpine have none)';
    case 'EACCES':
      return 'not executable';
    case 'ENOEXEC':
      return 'not a program for this machine';
    default:
      return `\`--version\` failed (${error.signal ?? error.code ?? error.message})`;
  }
}

/** What the dynamic loader says on Linux, and the package that mends it. */
const LOADER_HINTS = [
  {
    pattern: /libcurl\.so\.4/,
    hint: 'install libcurl 4 (Debian, Ubuntu: apt-get install libcurl4; Fedora, RHEL: dnf install libcurl)',
  },
  {
    pattern: /lib(ssl|crypto)\.so\.3/,
    hint: 'it needs OpenSSL 3 (Debian 12, Ubuntu 22.04, RHEL 9 or newer)',
  },
  { pattern: /GLIBC(XX)?_/, hint: 'this system is older than the one it was built for' },
];
