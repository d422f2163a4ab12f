import { type Static, Type } from '@sinclair/typebox';
import { document } from './parts.js';

/** What every error is answered with. */
export const ProblemDocument = document('Problem', {
  error: Type.String({ description: 'What is wrong, for people' }),
  code: Type.String({ description: 'What is wrong, for programs: never changes its meaning' }),
  issues: Type.Optional(
    Type.Array(
      Type.Object({ path: Type.String(), message: Type.String() }, { additionalProperties: false }),
      {
        description: 'Where, in what was sent',
      },
    ),
  ),
});
export type ProblemDocument = Static<typeof ProblemDocument>;
