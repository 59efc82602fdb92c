/** What came of a request. Status 0: no answer came, and nobody knows what happened. */
export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** Whether the service said that it is done. */
export function isAcknowledged({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

/** Whether the service said that nothing was done. */
export function isRefused({ status }: Answer): boolean {
  return status >= 400 && status < 500;
}

/** What a person signs up with. */
export interface SignUp {
  organization_name: string;
  email: string;
  password: string;
}

/** What an update asks for. */
export interface Change {
  organization_name?: string;
  metadata?: Record<string, unknown>;
  email?: string;
  password?: string;
}

/** Longer than any pause a drill makes. */
const ANSWER_LIMIT_MS = 30_000;

/** The five operations over HTTP, as any client calls them, with every outcome a value. */
export class ServiceApi {
  readonly #url: string;

  /** @param url - `http://host:port` */
  constructor(url: string) {
    this.#url = url;
  }

  create(signUp: SignUp, idempotencyKey?: string): Promise<Answer> {
    const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
    return this.#send('POST', '/org/create', { body: signUp, headers });
  }

  get(organizationName: string): Promise<Answer> {
    return this.#send('GET', `/org/get?organization_name=${encodeURIComponent(organizationName)}`);
  }

  /** @param organizationName - the organization to sign in to; without it, the service chooses */
  login({ email, password }: SignUp, organizationName?: string): Promise<Answer> {
    const body = {
      email,
      password,
      ...(organizationName && { organization_name: organizationName }),
    };
    return this.#send('POST', '/admin/login', { body });
  }

  /** What the token's own organization is like: whether the token still opens anything. */
  own(token: string): Promise<Answer> {
    return this.#send('GET', '/org/get', { token });
  }

  update(token: string, change: Change): Promise<Answer> {
    return this.#send('PUT', '/org/update', { token, body: change });
  }

  remove(token: string): Promise<Answer> {
    return this.#send('DELETE', '/org/delete', { token });
  }

  /** Calls an operation of the records interface. @param path - below `/org/records` */
  records(token: string, method: string, path: string, body?: object): Promise<Answer> {
    return this.#send(method, `/org/records${path}`, { token, ...(body && { body }) });
  }

  async #send(
    method: string,
    path: string,
    { body, token, headers = {} }: RequestParts = {},
  ): Promise<Answer> {
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method,
        headers: {
          ...headers,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      });
      const text = await response.text();
      return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
    } catch {
      return { status: 0, body: {} };
    }
  }
}

interface RequestParts {
  body?: object;
  token?: string;
  headers?: Record<string, string>;
}
