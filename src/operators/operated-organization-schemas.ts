import { Type } from 'typebox';
import { listOf } from '../http/pagination.ts';
import { Email, nullableString, ObjectIdString, Timestamp } from '../http/schemas.ts';
import {
  ExternalId,
  Metadata,
  OrganizationNameString,
} from '../organizations/organization-schemas.ts';
import { ORGANIZATION_ORDERS } from './organization-list-service.ts';
import { LISTED_STATUSES, ORGANIZATION_STATUSES } from './organization-status.ts';

export const OrganizationParams = Type.Object({ id: ObjectIdString });

const Status = Type.Enum([...ORGANIZATION_STATUSES], {
  description:
    '`provisioning` and `deleting` last while the operation does: see `GET /operations`.',
});

export const OrganizationListQuery = Type.Object(
  {
    q: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description:
          'What the name, or one of its words, begins with. Case, spacing and punctuation do not matter.',
        examples: ['acm'],
      }),
    ),
    status: Type.Optional(
      Type.Enum([...LISTED_STATUSES], { description: 'Only those that are so.' }),
    ),
    external_id: Type.Optional(ExternalId),
    sort: Type.Optional(
      Type.Enum([...ORGANIZATION_ORDERS], {
        default: 'name',
        description:
          'With `-` in front: descending. Size and last activity are as they were written down last: see `measured_at`.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 200,
        default: 50,
        description: 'How many at most.',
        examples: [50],
      }),
    ),
    after: Type.Optional(
      Type.String({
        minLength: 1,
        description: '`next_cursor` of the page before, in the same order.',
        examples: ['WyJuYW1lIiwiYWNtZSIsIjY2ZjFjMGZmZWUwZGRiYTExY2E3NWExZSJd'],
      }),
    ),
  },
  { additionalProperties: false },
);

const MAX_QUOTA = Number.MAX_SAFE_INTEGER;

function quotaLimit(description: string, example: number) {
  return Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    minimum: 0,
    maximum: MAX_QUOTA,
    description,
    examples: [example, null],
  });
}

const Quota = Type.Object(
  {
    max_records: Type.Optional(quotaLimit('The most records; null for no limit.', 100_000)),
    max_bytes: Type.Optional(
      quotaLimit('The most bytes of records; null for no limit.', 1_073_741_824),
    ),
    max_members: Type.Optional(quotaLimit('The most members; null for no limit.', 50)),
  },
  {
    additionalProperties: false,
    description: 'What the organization may use. What is absent is as the service has it for all.',
  },
);

const Suspension = Type.Unsafe<{ reason: string | null; at: string; operator_id: string } | null>({
  type: ['object', 'null'],
  required: ['reason', 'at', 'operator_id'],
  properties: {
    reason: nullableString({ examples: ['Unpaid since March', null] }),
    at: Timestamp,
    operator_id: ObjectIdString,
  },
  description: 'Who suspended it, when and why; null while it is not.',
  examples: [null],
});

const listed = {
  id: ObjectIdString,
  organization_name: OrganizationNameString,
  collection_name: Type.String({ examples: ['org_acme_gmbh'] }),
  database: Type.String({
    description: 'Where its collection is.',
    examples: ['organization_master'],
  }),
  status: Status,
  external_id: nullableString({ examples: ['customer-4711', null] }),
  created_at: Timestamp,
  updated_at: Timestamp,
  records: Type.Integer({ description: 'As of `measured_at`.', examples: [1_250] }),
  bytes: Type.Integer({
    description: 'Of its records as BSON, uncompressed, as of `measured_at`.',
    examples: [524_288],
  }),
  measured_at: Type.String({
    ...Timestamp,
    description: 'At most 20 minutes behind the last use of it.',
  }),
  last_active_at: Type.String({
    ...Timestamp,
    description: 'When a token or key of it was last used, to a quarter of an hour.',
  }),
  suspension: Suspension,
  purge_at: Type.Unsafe<string | null>({
    ...Timestamp,
    type: ['string', 'null'],
    description: 'Of a deleted one: until then it can be restored.',
    examples: [null],
  }),
};

export const ListedOrganization = Type.Object(listed, {
  description: 'An organization, as far as the list tells.',
});

export const OrganizationList = listOf(
  ListedOrganization,
  'The organizations that were asked for, in the order that was asked for.',
);

const nullableOwner = Type.Unsafe<{ id: string; email: string } | null>({
  type: ['object', 'null'],
  required: ['id', 'email'],
  properties: { id: ObjectIdString, email: Email },
  description: 'The owner who has been a member longest; null only while it is made or deleted.',
  examples: [{ id: '66f1c0ffee0ddba11ca75a1e', email: 'ada@acme.example' }],
});

export const OperatedOrganization = Type.Object(
  {
    ...listed,
    members: Type.Integer({ minimum: 0, examples: [3] }),
    owner: nullableOwner,
    metadata: Metadata,
    quota: Quota,
  },
  { description: 'An organization, as operators see it: all about it, nothing that is in it.' },
);

export const OperatedOrganizationBody = Type.Object(
  {
    metadata: Type.Optional(Metadata),
    quota: Type.Optional(
      Type.Unsafe<{
        max_records?: number | null;
        max_bytes?: number | null;
        max_members?: number | null;
      } | null>({
        ...Quota,
        type: ['object', 'null'],
        description:
          'In place of the one there was. A limit that is absent is as the service has it for all, one that is null is ' +
          'none; null in place of all of it: the defaults.',
        examples: [{ max_records: 100_000 }, null],
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1 },
);

export const DeletionQuery = Type.Object(
  {
    purge: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Whether it is to be gone at once, in spite of a grace period.',
        examples: [true],
      }),
    ),
  },
  { additionalProperties: false },
);

export const SuspendBody = Type.Object(
  {
    reason: Type.Optional(
      nullableString({
        minLength: 1,
        maxLength: 500,
        description: 'For operators to see; members are not told.',
        examples: ['Unpaid since March'],
      }),
    ),
  },
  { additionalProperties: false },
);

export const Operations = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        organization_id: ObjectIdString,
        organization_name: OrganizationNameString,
        kind: Type.Enum(['create', 'update', 'delete']),
        owner: Type.String({
          description: 'The instance that works on it.',
          examples: ['7f0d8a54-6f3e-4b7e-9d59-3d6a7c2f1b10'],
        }),
        started_at: Timestamp,
        attempts: Type.Integer({
          minimum: 1,
          description: 'How often it was taken up, the first time included.',
          examples: [1],
        }),
        age_seconds: Type.Number({
          description: 'Since it was begun, by the clock of the database.',
          examples: [0.4],
        }),
        stuck: Type.Boolean({
          description: 'Whether somebody should look at it; the log says what it fails of.',
          examples: [false],
        }),
      }),
    ),
  },
  { description: 'The lifecycle operations under way, longest without a sign of life first.' },
);
