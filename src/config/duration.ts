const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Reads `90`, `90s`, `15m`, `12h` or `7d`. @returns seconds; undefined for what is none of them */
export function readDuration(text: string): number | undefined {
  const [, digits, unit = 's'] = /^(0|[1-9]\d{0,8})([smhd])?$/.exec(text) ?? [];
  const seconds = UNIT_SECONDS[unit];
  return digits === undefined || seconds === undefined ? undefined : Number(digits) * seconds;
}
