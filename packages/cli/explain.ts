// An error as the person at the terminal should read it. What nobody foresaw keeps its stack, which a bug report needs.
import { ApiError, Unreachable } from '@ramet/client/api-error.ts'
import { Problem } from '@ramet/core/problem.ts'

/** The call itself was wrong: nothing went to a server. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function explain(error: unknown): string {
  if (error instanceof Unreachable) return `${error.message} (${causeOf(error)}). Start one with: ./ramet serve`
  if (error instanceof ApiError) return `${error.message} (error ${error.errorcode})`
  if (error instanceof UsageError || error instanceof Problem) return error.message
  if (isWrongOption(error)) return `${error.message}. ./ramet help shows what there is`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** By Node's parseArgs. */
function isWrongOption(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
}

/** fetch says only that it failed, and keeps the reason two causes deep. */
function causeOf(error: Error): string {
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  if (cause.cause instanceof Error) return causeOf(cause)
  return 'code' in cause ? String(cause.code) : cause.message
}
