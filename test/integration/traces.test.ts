import { expect, test } from 'vitest';
import { OtlpReceiver } from '../support/otlp-receiver.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { someSignUp } from '../support/test-service.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

test('a request is a span, what it asks of MongoDB are spans below it, and none says a secret', {
  timeout: 60_000,
}, async () => {
  await using receiver = await OtlpReceiver.start();
  const { service, tokens, organization, password, email } = await (async () => {
    await using service = await ServiceProcess.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20for-the-receiver',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=tests',
    });
    const { password, ...rest } = someSignUp();
    const signUp = { ...rest, password };
    const created = await service.post('/org/create', signUp);
    const organization = (await created.json()) as { id: string };
    expect((await service.post('/org/create', signUp)).status).toBe(409);
    const { email, organization_name } = rest;
    const wrong = { email, organization_name, password: 'wrong-secret-passphrase' };
    expect((await service.post('/admin/login', wrong)).status).toBe(401);
    const login = await service.post('/admin/login', { email, password, organization_name });
    const tokens = (await login.json()) as { access_token: string; refresh_token: string };
    const authorization = `Bearer ${tokens.access_token}`;
    const traceparent = `00-${TRACE}-${PARENT}-01`;
    const headers = { authorization, traceparent, 'x-request-id': 'traced-request' };
    expect((await fetch(`${service.url}/admin/me`, { headers })).status).toBe(200);
    await fetch(`${service.url}/org/get?organization_name=x&token=${tokens.refresh_token}`);
    await fetch(`${service.url}/${tokens.access_token}`);
    await fetch(`${service.url}/health/ready`);
    await fetch(`${service.url}/metrics`);
    return { service, tokens, organization, password, email };
  })();

  expect(receiver.resource).toMatchObject({
    'service.name': 'tenantry',
    'service.version': expect.stringMatching(/^\d/),
    'deployment.environment.name': 'tests',
  });
  expect(receiver.headers[0]).toMatchObject({ authorization: 'Bearer for-the-receiver' });
  const { spans } = receiver;
  const me = spans.find(({ name }) => name === 'GET /admin/me');
  expect(me).toMatchObject({
    kind: 2,
    traceId: TRACE,
    parentSpanId: PARENT,
    attributes: {
      'http.request.method': 'GET',
      'http.route': '/admin/me',
      'http.response.status_code': 200,
      'tenantry.request_id': 'traced-request',
      'tenantry.organization_id': organization.id,
      'tenantry.admin_id': expect.stringMatching(/^[0-9a-f]{24}$/),
    },
  });
  const below = spans.filter(({ parentSpanId }) => parentSpanId === me?.spanId);
  expect(below.length).toBeGreaterThan(2);
  for (const span of below) expect(span).toMatchObject({ kind: 3, traceId: TRACE });
  expect(JSON.stringify(below)).toContain('memberships');
  // After its body has arrived, too.
  const creation = spans.find(({ name }) => name === 'POST /org/create');
  const inserted = spans.filter(({ parentSpanId }) => parentSpanId === creation?.spanId);
  expect(JSON.stringify(inserted)).toContain('findAndModify');
  expect(spans.map(({ name }) => name)).toContain('POST /admin/login');
  expect(
    spans.filter(({ attributes }) => attributes['tenantry.problem'] !== undefined),
  ).not.toEqual([]);
  expect(spans.some(({ name }) => /health|metrics/.test(name))).toBe(false);

  const logged = service.output.split('\n').filter((line) => line.includes('"traced-request"'));
  expect(logged.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'GET /admin/me 200', trace_id: TRACE, organization_id: organization.id },
  ]);
  const sent = Buffer.concat(receiver.bodies).toString();
  const { access_token, refresh_token } = tokens;
  for (const secret of [password, email, access_token, refresh_token, 'wrong-secret', '$2b$'])
    expect(sent).not.toContain(secret);
});

test('traces go out in protobuf unless told otherwise, and a receiver that is away harms nothing', {
  timeout: 60_000,
}, async () => {
  await using service = await (async () => {
    await using receiver = await OtlpReceiver.start();
    const service = await ServiceProcess.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: '20',
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
    });
    expect((await fetch(`${service.url}/.well-known/jwks.json`)).status).toBe(200);
    await receiver.received();
    expect(receiver.headers[0]).toMatchObject({ 'content-type': 'application/x-protobuf' });
    expect(receiver.bodies.join()).toContain('GET /.well-known/jwks.json');
    return service;
  })();
  expect((await fetch(`${service.url}/.well-known/jwks.json`)).status).toBe(200);
  await service.printed(/traces cannot be delivered to/);
  service.child.kill('SIGTERM');
  expect(await service.exit, service.output).toEqual([0, null]);
});
