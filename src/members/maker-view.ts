import type { Maker } from './makers.ts';

/** Who made something, as answers show it. */
export function makerView({ id, ...maker }: Maker) {
  return { ...maker, id: id.toHexString() };
}
