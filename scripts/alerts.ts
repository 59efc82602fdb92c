import { spawnSync } from 'node:child_process';

/**
 * Checks and tests the alert rules with promtool, of Prometheus (`apt-get install prometheus`, or PROMTOOL=<path>).
 * `--required`, for CI: it is a failure when promtool is not there.
 */
const promtool = process.env.PROMTOOL || 'promtool';
const isRequired = process.argv.includes('--required');

function run(...args: string[]): void {
  const { error, status } = spawnSync(promtool, args, { stdio: 'inherit' });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') {
    console.log(`${promtool} is not installed: the alert rules were not checked.`);
    process.exit(isRequired ? 1 : 0);
  }
  if (status !== 0) process.exit(status ?? 1);
}

run('check', 'rules', 'ops/prometheus/tenantry-alerts.yml');
run('test', 'rules', 'ops/prometheus/tenantry-alerts.test.yml');
