import { AbstractCursor, Collection, Db, MongoClient } from 'mongodb';

/**
 * What is done around one call to the database.
 *
 * @param call - makes it, and resolves with the reply
 * @param method - the driver's method: `findOneAndUpdate`, `command` …
 * @param callLate - makes it although the deadline is over that it was given
 */
export type AroundCall = <T>(
  call: () => Promise<T>,
  method: string,
  callLate: () => Promise<T>,
) => Promise<T>;

/**
 * A view of a client in which every call to the database goes through `around`. So a test decides what no setting of a
 * server can: between which two calls an instance stops, whose reply is seen first, which reply gets lost.
 */
export function interceptCalls(client: MongoClient, around: AroundCall): MongoClient {
  return intercepted(client, around);
}

function intercepted<T extends object>(target: T, around: AroundCall): T {
  const view: T = new Proxy(target, {
    get(object, property) {
      const member: unknown = Reflect.get(object, property, object);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        const call = () => member.apply(object, args);
        const callLate = () => member.apply(object, args.map(withoutDeadline));
        if (isAsync(member)) return around(call, String(property), callLate);
        const result: unknown = call();
        if (result === object) return view;
        return isOfTheDriver(result) ? intercepted(result, around) : result;
      };
    },
  });
  return view;
}

function withoutDeadline(argument: unknown): unknown {
  const isOptions = typeof argument === 'object' && argument !== null && 'signal' in argument;
  return isOptions ? { ...argument, signal: undefined } : argument;
}

/** The driver's methods that talk to the server are async functions; those that only build something are not. */
function isAsync(member: { constructor: { name: string } }): member is () => Promise<unknown> {
  return member.constructor.name === 'AsyncFunction';
}

function isOfTheDriver(value: unknown): value is object {
  return [MongoClient, Db, Collection, AbstractCursor].some((one) => value instanceof one);
}
