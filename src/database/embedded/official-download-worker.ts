/**
 * Runs mongodb-memory-server-core's download in a worker thread: the library prints to standard output
 * and takes its settings from the environment, and a worker has its own of both.
 */
import { parentPort, workerData } from 'node:worker_threads';

// biome-ignore lint/style/noProcessEnv: the worker's own copy; the library has no other way to be configured
const env = process.env;
// It verifies the server's TLS certificate only if this is set, and what it downloads will be run.
env.npm_config_strict_ssl = 'true';
env.MONGOMS_MD5_CHECK = 'true';
// A developer's settings for the test library must not choose what the service runs; a mirror may stay.
for (const name of ['SYSTEM_BINARY', 'DOWNLOAD_DIR', 'VERSION']) delete env[`MONGOMS_${name}`];

const { DryMongoBinary, MongoBinary } = await import('mongodb-memory-server-core');
const { version, workDir } = workerData as { version: string; workDir: string };
const options = await DryMongoBinary.generateOptions({ version, downloadDir: workDir });
const path = await MongoBinary.download({ ...options, downloadDir: workDir, checkMD5: true });
parentPort?.postMessage(path);
