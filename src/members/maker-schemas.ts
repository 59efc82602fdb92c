import { Type } from 'typebox';
import { nullableString, ObjectIdString } from '../http/schemas.ts';

/** Who made something. @param description - what */
export function makerSchema(description: string) {
  return Type.Object(
    {
      type: Type.Enum(['admin', 'api_key']),
      id: ObjectIdString,
      email: nullableString({
        description: 'Of a person who is a member; null otherwise.',
        examples: ['ada@acme.example', null],
      }),
    },
    { description: `${description}: a person, or a machine with a key. They may be gone since.` },
  );
}
