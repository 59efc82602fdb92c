import { Type } from 'typebox';
import { CurrentPassword } from '../admins/admin-schemas.ts';
import { Timestamp } from '../http/schemas.ts';
import { MfaCodeString } from './mfa-code-schemas.ts';

const EndOtherSessions = Type.Boolean({
  default: true,
  description: 'Whether your sessions on other devices, and in other organizations, end.',
  examples: [true],
});

export const BeginTotpBody = Type.Object(
  { current_password: CurrentPassword },
  { additionalProperties: false },
);

export const BegunTotp = Type.Object(
  {
    secret: Type.String({
      description: 'To type into the app: base32, 160 bits, SHA-1, 6 digits, 30 seconds.',
      examples: ['JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'],
    }),
    otpauth_uri: Type.String({
      description: 'To show to the app as a QR code (Key URI Format).',
      examples: [
        'otpauth://totp/Tenantry:ada%40acme.example?issuer=Tenantry&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&algorithm=SHA1&digits=6&period=30',
      ],
    }),
    expires_at: Timestamp,
  },
  { description: 'What the authenticator app needs. Nothing is in force yet.' },
);

export const ConfirmTotpBody = Type.Object(
  {
    code: Type.String({
      maxLength: 64,
      description: 'The six digits that the app shows. Spaces and dashes do not matter.',
      examples: ['123456'],
    }),
    end_other_sessions: Type.Optional(EndOtherSessions),
  },
  { additionalProperties: false },
);

export const RenewedProofBody = Type.Object(
  { current_password: CurrentPassword, code: MfaCodeString },
  { additionalProperties: false },
);

export const DisableTotpBody = Type.Object(
  { ...RenewedProofBody.properties, end_other_sessions: Type.Optional(EndOtherSessions) },
  { additionalProperties: false },
);

export const ShownRecoveryCodes = Type.Object(
  {
    recovery_codes: Type.Array(
      Type.String({
        pattern: '^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$',
        examples: ['4KZT-9B1W-0QXH-M7VC-2FYR-8D3E'],
      }),
      { minItems: 10, maxItems: 10 },
    ),
  },
  {
    description:
      'Each is good once, in place of a code of the app. They are shown this once: only keyed hashes are kept.',
  },
);
