// Errors have two readers: the message tells the user what is wrong and what to do, the cause chain serves the log.
// Kinds are few and chosen by what the caller would do next; `code` is stable and listed in docs/errors.md.

export type ProblemKind =
  | 'invalid' // a parameter is missing, malformed or names nothing: mend the call
  | 'malformed' // the call cannot even be read
  | 'refused' // understood, but the object's state or a rule forbids it now
  | 'unsupported' // never possible as the object is
  | 'busy' // something else is at work on it: try again later
  | 'unauthenticated' // who are you?
  | 'login-failed'
  | 'forbidden' // known, and not allowed
  | 'unknown-command'
  | 'wrong-method'
  | 'over-limit' // an account's quota
  | 'no-capacity' // no host or pool fits: add capacity, or wait
  | 'unavailable' // something that should answer does not: try again later
  | 'not-allocated' // a resource could not be had
  | 'in-use' // something stands on it
  | 'conflict' // another rule of a network says otherwise
  | 'cancelled' // a person asked for the end
  | 'internal' // a bug, or a surprise from below

export class Problem extends Error {
  override readonly name = 'Problem'
  readonly kind: ProblemKind
  readonly code: string

  constructor(kind: ProblemKind, code: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.kind = kind
    this.code = code
  }
}

/** The same problem, that tells besides what came of it. */
export function withRemark(problem: Problem, remark: string): Problem {
  const { kind, code, message } = problem
  return new Problem(kind, code, `${message}. ${remark}`, { cause: problem })
}

/** A problem as the database and the wire keep it. */
export interface StoredProblem {
  readonly kind: ProblemKind
  readonly code: string
  readonly message: string
}

/** `error` as a problem; what was not foreseen becomes `internal` and keeps its text and cause. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const message = error instanceof Error ? error.message : String(error)
  return new Problem('internal', 'internal', message, { cause: error })
}

export function storeProblem(error: unknown): StoredProblem {
  const { kind, code, message } = asProblem(error)
  return { kind, code, message }
}

export function restoreProblem({ kind, code, message }: StoredProblem): Problem {
  return new Problem(kind, code, message)
}
