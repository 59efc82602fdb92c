import { ObjectId } from 'mongodb';
import { expectStatus, type SignedUp, signUpAndIn, type TestService } from './test-service.ts';

/** A person who belongs to an organization, signed in to it. */
export interface TestMember {
  id: string;
  email: string;
  password: string;
  tokens: { access_token: string; refresh_token: string };
  auth: { authorization: string };
}

/** Somebody with an organization of their own becomes a member, past the service, and signs in. */
export async function aMember(
  service: Pick<TestService, 'app' | 'db' | 'clock'>,
  { organization }: Pick<SignedUp, 'organization'>,
  role: string,
): Promise<TestMember> {
  const { signUp } = await signUpAndIn(service);
  const { email, password } = signUp;
  const admin = await service.db
    .collection('admins')
    .findOneAndUpdate({ email }, { $inc: { membership_version: 1 } });
  if (admin === null) throw new Error(`${email} has no account`);
  await service.db.collection('memberships').insertOne({
    ...{ organization_id: new ObjectId(organization.id), admin_id: admin._id },
    ...{ role, version: 0, created_at: service.clock.now() },
  });
  const { organization_name } = await service.app
    .inject({ url: '/org/get', query: { organization_name: organization.organization_name } })
    .then((response) => expectStatus(response, 200).json());
  const payload = { email, password, organization_name };
  const login = await service.app.inject({ method: 'POST', url: '/admin/login', payload });
  const tokens = expectStatus(login, 200).json();
  const auth = { authorization: `Bearer ${tokens.access_token}` };
  return { id: admin._id.toHexString(), email, password, tokens, auth };
}

/** The id of a person's account. */
export async function adminIdOf(
  { db }: Pick<TestService, 'db'>,
  { signUp }: Pick<SignedUp, 'signUp'>,
): Promise<string> {
  const admin = await db.collection('admins').findOne({ email: signUp.email.toLowerCase() });
  if (admin === null) throw new Error('the account does not exist');
  return String(admin._id);
}
