// The one table that turns a problem into CloudStack's numbers (cloudstack-api 1.5).
import type { Problem, ProblemKind } from '@ramet/core/problem.ts'

interface Wire {
  readonly http: number
  readonly cserror: number
}

export const wireCodes = {
  malformed: { http: 430, cserror: 9999 },
  invalid: { http: 431, cserror: 4350 },
  refused: { http: 431, cserror: 4350 },
  unsupported: { http: 432, cserror: 4350 },
  busy: { http: 530, cserror: 4300 },
  unauthenticated: { http: 401, cserror: 4290 },
  'login-failed': { http: 531, cserror: 4290 },
  'wrong-method': { http: 405, cserror: 9999 },
  'unknown-command': { http: 432, cserror: 4555 },
  forbidden: { http: 531, cserror: 4365 },
  'over-limit': { http: 532, cserror: 4280 },
  'no-capacity': { http: 533, cserror: 4325 },
  unavailable: { http: 534, cserror: 4380 },
  'not-allocated': { http: 535, cserror: 4370 },
  'in-use': { http: 536, cserror: 4375 },
  conflict: { http: 537, cserror: 4360 },
  cancelled: { http: 530, cserror: 4250 },
  internal: { http: 530, cserror: 4250 },
} as const satisfies Record<ProblemKind, Wire>

export interface WireError {
  readonly uuidList: readonly []
  readonly errorcode: number
  readonly cserrorcode: number
  readonly errortext: string
}

export function wireError(problem: Pick<Problem, 'kind' | 'message'>): WireError {
  const { http, cserror } = wireCodes[problem.kind]
  return { uuidList: [], errorcode: http, cserrorcode: cserror, errortext: problem.message }
}
