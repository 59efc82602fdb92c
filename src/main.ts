import { ConfigError } from './config/config-error.ts';
import { startTracingIfAsked } from './tracing/start-if-asked.ts';

await main();

/** What is traced has to be loaded after tracing has begun, so everything else comes second. */
async function main(): Promise<void> {
  try {
    const tracing = await startTracingIfAsked();
    const { run } = await import('./run.ts');
    await run(tracing);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
