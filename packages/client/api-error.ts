// What the server said no with, in an answer or as the result of a job.

export type Fields = Record<string, unknown>

export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** The status of the HTTP answer: 200 where it was a job that failed. */
  readonly httpStatus: number
  readonly errorcode: number
  readonly cserrorcode: number

  constructor(httpStatus: number, body: Fields, otherwise: string) {
    super(typeof body.errortext === 'string' ? body.errortext : otherwise)
    this.httpStatus = httpStatus
    this.errorcode = Number(body.errorcode ?? httpStatus)
    this.cserrorcode = Number(body.cserrorcode ?? 9999)
  }
}

/** Nobody answered at all; the cause says why. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'

  constructor(url: string, cause: unknown) {
    super(`No Ramet server answers at ${url}`, { cause })
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
