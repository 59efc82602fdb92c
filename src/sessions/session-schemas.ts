import { Type } from 'typebox';
import { listOf } from '../http/pagination.ts';
import { nullableString, ObjectIdString, Timestamp } from '../http/schemas.ts';

export const SessionParams = Type.Object({ id: ObjectIdString });

export const Session = Type.Object(
  {
    id: ObjectIdString,
    organization_id: ObjectIdString,
    device: nullableString({
      description: 'What the client called itself (`User-Agent`), when it was last refreshed.',
      examples: ['Mozilla/5.0 (X11; Linux x86_64) Firefox/147.0', null],
    }),
    address: Type.String({
      description: 'Where it came from then.',
      examples: ['203.0.113.7'],
    }),
    created_at: Timestamp,
    last_used_at: Type.String({ ...Timestamp, description: 'To the minute.' }),
    expires_at: Type.String({ ...Timestamp, description: 'Unless it is refreshed before.' }),
    current: Type.Boolean({ description: 'Whether this request is made in it.', examples: [true] }),
  },
  { description: 'A sign-in on a device, in one organization.' },
);

export const Sessions = listOf(Session, 'Your sessions in all your organizations, oldest first.');
