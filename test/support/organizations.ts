import { ObjectId } from 'mongodb';
import type { Instance } from './cluster.ts';
import { expectStatus, type SignedUp, signUpAndIn, type someSignUp } from './test-service.ts';

/** What somebody signs up with. */
export type SignUp = ReturnType<typeof someSignUp>;

/** An organization with documents. */
export async function anOrganization(
  by: Instance,
  overrides: Partial<SignUp> = {},
): Promise<SignedUp> {
  const signedUp = await signUpAndIn(by, overrides);
  const id = ObjectId.createFromHexString(signedUp.organization.id);
  const collection = await by.services.tenantCollection(id);
  await collection.insertMany([{ of: signedUp.signUp.organization_name }, { n: 2 }]);
  return signedUp;
}

/** Somebody with an account joins, and has a session. Until there are invitations, by hand. */
export async function addMember(by: Instance, { organization }: SignedUp): Promise<void> {
  const { db } = by;
  const joining = await signUpAndIn(by);
  const account = await db.collection('admins').findOne({ email: joining.signUp.email });
  if (account === null) throw new Error('the account does not exist');
  const own = { organization_id: ObjectId.createFromHexString(joining.organization.id) };
  const joined = { organization_id: ObjectId.createFromHexString(organization.id) };
  await db.collection('memberships').updateOne(own, { $set: { ...joined, role: 'admin' } });
  await db.collection('sessions').updateOne(own, { $set: joined });
  await db
    .collection('admins')
    .updateOne({ _id: account._id }, { $set: { last_organization_id: joined.organization_id } });
  await db.collection('organizations').deleteOne({ _id: own.organization_id });
  await db.dropCollection(joining.organization.collection_name);
}

/** Fails unless the credentials are good. */
export async function signsIn({ app }: Instance, signUp: SignUp): Promise<void> {
  expectStatus(await app.inject({ method: 'POST', url: '/admin/login', payload: signUp }), 200);
}
