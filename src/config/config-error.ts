/** One setting that the service cannot start with. `message` completes the sentence that begins with the name. */
export interface SettingFault {
  readonly name: string;
  readonly message: string;
}

/**
 * The settings do not allow a start. The message lists every fault, for the person who starts the service; it holds no
 * secret. Not an `AppError`: no caller of the HTTP interface ever sees it.
 */
export class ConfigError extends Error {
  readonly faults: readonly SettingFault[];

  constructor(faults: readonly SettingFault[], options?: ErrorOptions) {
    super(describe(faults), options);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

function describe(faults: readonly SettingFault[]): string {
  const lines = faults.map(({ name, message }) => `  ${name} ${message}`);
  const count = faults.length === 1 ? 'one setting' : `${faults.length} settings`;
  return [`Cannot start: ${count} to mend (environment or .env).`, ...lines].join('\n');
}
