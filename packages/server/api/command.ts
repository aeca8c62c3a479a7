// One command, declared once: name, permission, parameters, answer, and what it does. From the declaration come the HTTP
// door, listApis, the command line and the API page.
import type { JobId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, isAdmin, type Permission } from './caller.ts'
import { type Parameter, type RawParameters, readParameters, type Values } from './parameters.ts'
import { pageParameters, type Page, readPage } from './paging.ts'
import { render, type View } from './view.ts'

export type Parameters = Record<string, Parameter<unknown>>

export interface Call<P extends Parameters> {
  readonly app: App
  readonly caller: Caller
  readonly params: Values<P>
}

/** What a call answers, to be wrapped in its envelope. */
export type Answer = Record<string, unknown>

export interface Command {
  readonly name: string
  readonly description: string
  readonly permission: Permission
  readonly params: Parameters
  readonly isAsync: boolean
  /** Fields of the answer, for listApis. */
  readonly answer: View<never> | null
  /** The key around the answer, where it is not the command's name in lower case + `response`. */
  readonly envelope?: string
  run(app: App, caller: Caller, raw: RawParameters): Promise<Answer>
  /** Result of the finished job of an asynchronous command. */
  result?(app: App, job: Row<'job'>, caller: Caller): Promise<Answer>
}

interface Common<P extends Parameters> {
  readonly name: string
  readonly description: string
  readonly permission: Permission
  readonly params: P
  readonly envelope?: string
}

/** A command that answers a page of objects. An empty list is an empty answer, without count (cloudstack-api 1.4). */
export function listCommand<P extends Parameters, S>(
  spec: Common<P> & {
    view: View<S>
    run(call: Call<P> & { page: Page }): Promise<{ count: number; items: readonly S[] }>
  },
): Command {
  const params = { ...pageParameters, ...spec.params }
  return {
    ...spec,
    params,
    isAsync: false,
    answer: spec.view,
    async run(app, caller, raw) {
      const page = readPage(readParameters(pageParameters, raw), app.settings)
      const { count, items } = await spec.run({ app, caller, params: readParameters(spec.params, raw), page })
      return listAnswer(spec.view, count, items, caller)
    },
  }
}

export function listAnswer<S>(view: View<S>, count: number, items: readonly S[], caller: Caller): Answer {
  if (count === 0) return {}
  return items.length === 0
    ? { count }
    : { count, [view.object]: items.map(item => render(view, item, isAdmin(caller))) }
}

/** A command that answers one object at once; `asList` where upstream wraps it in a list of one, which null leaves empty. */
export function objectCommand<P extends Parameters, S>(
  spec: Common<P> &
    (
      | { view: View<S>; asList: true; run(call: Call<P>): Promise<S | null> }
      | { view: View<S>; asList?: false; run(call: Call<P>): Promise<S> }
    ),
): Command {
  return {
    ...spec,
    isAsync: false,
    answer: spec.view,
    async run(app, caller, raw) {
      const item = await spec.run({ app, caller, params: readParameters(spec.params, raw) })
      if (item === null) return {}
      if (spec.asList) return listAnswer(spec.view, 1, [item], caller)
      return { [spec.view.object]: render(spec.view, item, isAdmin(caller)) }
    },
  }
}

/** A command that answers fields directly in its envelope, such as `success`. */
export function plainCommand<P extends Parameters>(
  spec: Common<P> & { answer?: View<never>; run(call: Call<P>): Promise<Answer> },
): Command {
  return {
    ...spec,
    isAsync: false,
    answer: spec.answer ?? null,
    run: (app, caller, raw) => spec.run({ app, caller, params: readParameters(spec.params, raw) }),
  }
}

/** What the result of a job is made from: an object read when it is asked for, or mere success. */
export interface JobResult<S> {
  readonly view: View<S>
  /** The fields are the result's own, not those of an object in it. */
  readonly isFlat?: true
  read(app: App, job: Row<'job'>): Promise<S | readonly S[] | undefined>
}

/** The id of a job, and for a created object also the object's; or, where only that was asked for, what would be done. */
export type Started = { readonly jobid: JobId; readonly id?: string } | { readonly plan: Answer }

/** A command that starts a job. */
export function jobCommand<P extends Parameters, S>(
  spec: Common<P> & { result?: JobResult<S>; run(call: Call<P>): Promise<Started> },
): Command {
  const { result } = spec
  return {
    name: spec.name,
    description: spec.description,
    permission: spec.permission,
    params: spec.params,
    ...(spec.envelope && { envelope: spec.envelope }),
    isAsync: true,
    answer: (result?.view as View<never>) ?? null,
    run: (app, caller, raw) => spec.run({ app, caller, params: readParameters(spec.params, raw) }),
    async result(app, job, caller) {
      if (!result) return { success: true }
      const item = await result.read(app, job)
      if (isSeveral(item)) return { [result.view.object]: item.map(each => render(result.view, each, isAdmin(caller))) }
      const fields = item ? render(result.view, item, isAdmin(caller)) : {}
      return result.isFlat ? fields : { [result.view.object]: fields }
    },
  }
}

function isSeveral<S>(item: S | readonly S[] | undefined): item is readonly S[] {
  return Array.isArray(item)
}
