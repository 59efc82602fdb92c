import type { Db } from 'mongodb';
import type { OrganizationDocument } from '../../../src/registry/organization-document.ts';
import { ORGANIZATIONS } from '../../../src/registry/registry-store.ts';
import { type Finding, ghost, lost } from '../../support/finding.ts';
import type { SignUp } from '../support/service-api.ts';

/** A name an organization was given, and when: by `performance.now()` of the request and of its answer. */
interface Naming {
  name: string;
  begun: number;
  ended: number;
}

/** An organization that several clients change at the same time. */
export interface Contested {
  /** Hex. */
  id: string;
  token: string;
  /** Who signed up. */
  person: SignUp;
  namings: Naming[];
  deletion: 'none' | 'asked' | 'acknowledged';
}

/** What several clients were told about the same organizations, in no certain order. */
export class ContestedRegister {
  readonly organizations: Contested[] = [];

  add(signedUp: Pick<Contested, 'id' | 'token' | 'person'>, naming: Naming): void {
    this.organizations.push({ ...signedUp, namings: [naming], deletion: 'none' });
  }

  /** One that is not known to be deleted. */
  any(): Contested | undefined {
    const there = this.organizations.filter(({ deletion }) => deletion !== 'acknowledged');
    return there[Math.floor(Math.random() * there.length)];
  }

  /** @returns what contradicts the answers: organizations that are missing, that are there, or are called otherwise */
  async check(db: Db): Promise<Finding[]> {
    const found = await db.collection<OrganizationDocument>(ORGANIZATIONS.name).find().toArray();
    const names = new Map(found.map((one) => [one._id.toHexString(), one.organization_name]));
    const known = new Set(this.organizations.map(({ id }) => id));
    return [
      ...[...names].flatMap(([id, name]) =>
        known.has(id) ? [] : [ghost(`nobody was told of "${name}"`)],
      ),
      ...this.organizations.flatMap((one) => faultOf(one, names.get(one.id))),
    ];
  }
}

function faultOf({ id, namings, deletion }: Contested, name: string | undefined): Finding[] {
  if (name === undefined) return deletion === 'none' ? [lost(`the organization ${id}`)] : [];
  if (deletion === 'acknowledged') return [ghost(`"${name}" was deleted`)];
  return lastNames(namings).includes(name)
    ? []
    : [lost(`"${name}" was called ${lastNames(namings).join(' or ')} last`)];
}

/** The names that were not followed by another one: of those given at the same time, any may be the last. */
function lastNames(namings: readonly Naming[]): string[] {
  return namings
    .filter(({ ended }) => !namings.some((other) => other.begun > ended))
    .map(({ name }) => name);
}
