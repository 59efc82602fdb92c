// biome-ignore-all lint/performance/noBarrelFile: a package has one entry, and this is all that it offers
/**
 * What `import … from 'tenantry'` gives: the organizations' records and their members' tokens, for product back ends.
 */
export { PermissionDeniedError } from '../access/access-errors.ts';
export { DatabaseUnavailableError } from '../database/database-errors.ts';
export { AppError, InvalidFieldError } from '../errors.ts';
export { OrganizationBusyError, OrganizationNotFoundError } from '../registry/registry-errors.ts';
export type { Permission } from '../roles/permissions.ts';
export { KeySetUnavailableError } from '../sessions/key-set-tokens.ts';
export {
  InvalidTokenError,
  OrganizationSuspendedError,
  TokenExpiredError,
} from '../sessions/session-errors.ts';
export { CursorLostError } from '../tenants/fenced-commands.ts';
export type { AggregateRecordsOptions, RecordsAggregationCursor } from './aggregation-cursor.ts';
export type { FindRecordsOptions, RecordsFindCursor } from './find-cursor.ts';
export {
  LibraryOptionsError,
  UnsupportedOptionError,
  UnsupportedStageError,
  UpdateInterruptedError,
  WrongOrganizationError,
} from './library-errors.ts';
export { type OpenTenantryOptions, openTenantry } from './open-tenantry.ts';
export type { OrganizationRecords } from './organization-records.ts';
export type {
  ApiKeyPrincipal,
  MemberPrincipal,
  Principal,
  VerifyTokenOptions,
} from './principal-check.ts';
export type {
  BulkRecordsOptions,
  CountRecordsOptions,
  DeleteRecordsOptions,
  InsertRecordOptions,
  InsertRecordsOptions,
  ReplaceRecordOptions,
  UpdateRecordsOptions,
} from './record-options.ts';
export type { TenantOrganization } from './tenant-organization.ts';
export { type Tenantry, TenantryClosedError } from './tenantry.ts';
