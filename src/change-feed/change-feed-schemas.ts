import { Type } from 'typebox';

export const ChangeFeedQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        description: 'As `Last-Event-ID`, for clients that cannot send it. The header counts more.',
        examples: ['q2fVb3J0ZSBnZXQgbmljZSBkYXRh'],
      }),
    ),
    extended_json: Type.Optional(
      Type.Enum(['relaxed', 'canonical'], {
        default: 'relaxed',
        description: '`canonical` spells out the type of every value, numbers included.',
        examples: ['relaxed'],
      }),
    ),
  },
  { additionalProperties: false },
);

export const changeFeedHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      description:
        'The id of the event that came last: the feed goes on after it. Browsers send it when they reconnect. Without one the ' +
        'feed begins now.',
      examples: ['q2fVb3J0ZSBnZXQgbmljZSBkYXRh'],
    }),
  ),
});

/** The answer: text/event-stream, as the HTML standard has it. */
export const ChangeFeedStream = {
  description: 'The changes, until one side ends it.',
  content: {
    'text/event-stream': {
      schema: Type.String({
        description:
          'Events `insert`, `update`, `replace` and `delete`, of which `data` is `{"type", "id", "record", "etag", "at"}`; ' +
          '`ready` first; `end`, with `{"reason"}`, last; and comments in between.',
        examples: [
          'event: update\nid: q2fVb3J0ZSBnZXQgbmljZSBkYXRh\n' +
            'data: {"type":"update","id":{"$oid":"66f1c0ffee0ddba11ca75a1e"},"record":{"_id":{"$oid":"66f1c0ffee0ddba11ca75a1e"},' +
            '"n":2},"etag":"\\"Zk1tq3_uM0xUqA8Wb2rV0h4c9dY\\"","at":"2026-11-24T09:30:00.000Z"}\n\n',
        ],
      }),
    },
  },
};
