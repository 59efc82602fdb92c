import type { FieldError } from '../errors.ts';
import { pointer } from '../records/extended-json.ts';

/** Schemas inside schemas, at most. What MongoDB says of a violation nests five times as deep, and ends at 180 levels. */
const MAX_DEPTH = 20;
const MAX_SCHEMAS = 1_000;
/** So many faults are told; the rest is of no more help. */
const MAX_FAULTS = 20;

/** What is counted over the whole of a schema. */
export class SchemaSurvey {
  readonly faults: FieldError[] = [];
  schemas = 0;
}

/** Where one is in a schema. */
export class SchemaPlace {
  readonly path: string;
  readonly depth: number;
  readonly #survey: SchemaSurvey;

  constructor(survey: SchemaSurvey, path = '', depth = 0) {
    this.#survey = survey;
    this.path = path;
    this.depth = depth;
  }

  at(name: string | number): SchemaPlace {
    return new SchemaPlace(this.#survey, pointer(this.path, String(name)), this.depth);
  }

  /** Notes a fault, of this place unless another is named. Reading goes on, so that all of them are told at once. */
  fault(message: string, path = this.path): undefined {
    const { faults } = this.#survey;
    if (faults.length < MAX_FAULTS) faults.push({ path, message });
  }

  /** @returns the place inside a schema, or undefined when there are too many of them, or too deep */
  enter(): SchemaPlace | undefined {
    this.#survey.schemas += 1;
    if (this.depth === MAX_DEPTH)
      return this.fault(`is nested more than ${MAX_DEPTH} schemas deep`);
    if (this.#survey.schemas > MAX_SCHEMAS)
      return this.fault(`is beyond the ${MAX_SCHEMAS} schemas that one may consist of`);
    return new SchemaPlace(this.#survey, this.path, this.depth + 1);
  }
}
