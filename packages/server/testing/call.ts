// Calls commands of the API in a lab, without HTTP: parameters as text, the answer as it would be on the wire.
import type { JobId } from '@ramet/core/ids.ts'
import type { Caller } from '../api/caller.ts'
import type { Answer } from '../api/command.ts'
import { commands } from '../api/commands/index.ts'
import { answerOf, jobOfCall } from '../api/job-query.ts'
import { ended, type Lab } from './lab.ts'

export type Given = Readonly<Record<string, string | number | boolean>>

export async function administrator({ app: { db } }: Lab): Promise<Caller> {
  const user = await db.selectFrom('user').selectAll().where('username', '=', 'admin').executeTakeFirstOrThrow()
  const account = await db.selectFrom('account').selectAll().where('id', '=', user.account_id).executeTakeFirstOrThrow()
  const domain = await db.selectFrom('domain').selectAll().where('id', '=', account.domain_id).executeTakeFirstOrThrow()
  return { user, account, domain }
}

export async function call(lab: Lab, name: string, given: Given = {}, caller?: Caller): Promise<Answer> {
  const command = commandNamed(name)
  const raw = new Map(Object.entries(given).map(([key, value]) => [key.toLowerCase(), String(value)]))
  return command.run(lab.app, caller ?? (await administrator(lab)), raw)
}

/** The same for a command that starts a job: waits for the job and answers its result, error included. */
export async function callJob(lab: Lab, name: string, given: Given = {}, caller?: Caller): Promise<Answer> {
  const { jobid } = await call(lab, name, given, caller)
  await ended(lab, jobid as JobId)
  const job = await jobOfCall(lab.app, await administrator(lab), jobid as JobId)
  return (
    (await answerOf(lab.app, caller ?? (await administrator(lab)), job, commandNamed(name))) ?? { state: job.state }
  )
}

/** The objects that a list command answers. */
export async function listed(lab: Lab, name: string, given: Given = {}, caller?: Caller): Promise<Answer[]> {
  const answer = await call(lab, name, given, caller)
  return (Object.values(answer).find(Array.isArray) ?? []) as Answer[]
}

function commandNamed(name: string) {
  const command = commands.find(each => each.name === name)
  if (!command) throw new Error(`there is no command ${name}`)
  return command
}
