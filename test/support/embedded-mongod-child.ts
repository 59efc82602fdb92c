/**
 * A service reduced to its embedded MongoDB, to be killed by a test: starts it, prints one line of JSON
 * about it, and runs until it is told to end.
 *
 * Arguments: the data folder, the mongod. Standard input: when it closes, an orderly stop; the line
 * `exit`, a process.exit() that stops nothing.
 */
import { createInterface } from 'node:readline';
import { readPid } from '../../src/database/embedded/data-folder.ts';
import { EmbeddedMongod } from '../../src/database/embedded/embedded-mongod.ts';

const [dataDir = '', binary = ''] = process.argv.slice(2);
const silent = { info: () => undefined, warn: () => undefined };
const embedded = await EmbeddedMongod.start({
  dataDir,
  binary: { binary, cacheDir: dataDir },
  logger: silent,
});
const { url, maxCollections } = embedded;
const mongod = readPid(`${dataDir}/db/mongod.lock`);
console.log(JSON.stringify({ url, maxCollections, mongod }));

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line === 'exit') process.exit(0);
});
input.on('close', () => void embedded.stop());
