import { expect, test } from 'vitest';
import { apiOf, expectProblem, pathsOf } from '../support/api.ts';
import { changingNothing } from '../support/database-truth.ts';
import { startSmtpServer } from '../support/smtp-server.ts';
import { someSignUp, startTestService } from '../support/test-service.ts';
import { mailerTo, someMail } from '../unit/mail/some-mail.ts';

test('an address that could be read as another, or as several, is refused', async () => {
  await using service = await startTestService();
  const api = apiOf(service);
  await changingNothing(service.db, async () => {
    for (const email of [
      'a@b.example,c@d.example',
      'a@b.example\r\nBcc: c@d.example',
      '"a b"@acme.example',
      'a(comment)@acme.example',
      'Ada <a@acme.example>',
      'a@[127.0.0.1]',
      'a@1.2',
      'a@127.0.0.1',
      'ä@acme.example',
    ]) {
      const problem = expectProblem(
        await api.create(someSignUp({ email })),
        422,
        'validation_failed',
      );
      expect(problem.errors).toEqual([{ path: '/email', message: 'must be an e-mail address' }]);
      const login = await api.login({ email, password: 'x' });
      expect(pathsOf(expectProblem(login, 422, 'validation_failed'))).toEqual(['/email']);
    }
  });
});

test('a service that stops sends what waits first', async () => {
  await using server = await startSmtpServer();
  await using mailer = mailerTo(server);
  {
    await using service = await startTestService({ mailer });
    for (let index = 0; index < 10; index++)
      service.services.mailTasks.add('password_reset', async () => {
        // What it takes from the database is there until the end.
        await service.db.command({ ping: 1 });
        return someMail({ to: `person-${index}@acme.example` });
      });
    expect(server.mails.length).toBeLessThan(10);
  }
  expect(server.mails).toHaveLength(10);
});
