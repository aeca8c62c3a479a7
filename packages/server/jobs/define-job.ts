// How a long operation is written down: named steps, each forward act next to its undo. Two sorts of step:
//   record  touches the database only. It runs in the very transaction that notes it as done, so exactly once.
//   act     touches the world (a disk, a process). It runs at least once: it may be repeated after a crash, and its undo
//           runs even when it never began, so both accept whatever they find. Ids are in the input, chosen beforehand.
import type { JobId } from '@ramet/core/ids.ts'
import type { Problem } from '@ramet/core/problem.ts'
import type { Tx } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import type { Tools } from './tools.ts'

export interface StepContext<Input, Made> extends Tools {
  readonly input: Input
  /** What the steps before this one returned, by step name. */
  readonly made: Made
  readonly job: Row<'job'>
  /** Why the job is being undone; null on the way forward. */
  readonly problem: Problem | null
  /** Aborted when the lease is lost or the server closes and, on the way forward, when a person cancels. */
  readonly signal: AbortSignal
  /** Tells how far this step has come, 0 to 100. */
  progress(percent: number): void
}

export type RecordContext<Input, Made> = StepContext<Input, Made> & { readonly tx: Tx }

/** Why a step needs no undo. */
export interface Nothing {
  readonly nothing: string
}

export function nothing(reason: string): Nothing {
  return { nothing: reason }
}

export interface Step {
  readonly name: string
  readonly sort: 'record' | 'act'
  /** Looks at what was made before; a step that is not needed leaves no mark and is not undone. */
  readonly when?: (made: never) => boolean
  readonly do: (context: never) => Promise<unknown>
  readonly undo: Undo<never>
  /** How long it takes, where others take 1: for eyes only. */
  readonly weight?: number
}

/** It may answer a sentence on what it left, which is added to the job's problem. */
type Undo<Context> = ((context: Context) => Promise<string | undefined | void>) | Nothing

export interface JobTraits<Input> {
  readonly kind: string
  /** CloudStack's event type of the whole operation; of several operations, by what is asked. */
  readonly event: string | ((input: Input) => string)
  /** What the job does, in the words of the event log: "deploying virtual machine". */
  readonly doing: string
  readonly instanceType:
    | 'VirtualMachine'
    | 'VmSnapshot'
    | 'Template'
    | 'Volume'
    | 'Snapshot'
    | 'StoragePool'
    | 'Host'
    | 'Account'
    | 'Domain'
    | 'Network'
    | 'IpAddress'
    | 'PortForwardingRule'
    | 'None'
  /** A person may stop it half way, and what it did is undone. */
  readonly cancellable: boolean
  /** Jobs with one key run one at a time. */
  readonly lock: (input: Input) => string
  /** It works on layers: refused where the hypervisor keeps its own disks. */
  readonly onLayers?: true
  readonly instance: (input: Input) => string
}

export function eventOf<Input>({ event }: JobTraits<Input>, input: Input): string {
  return typeof event === 'function' ? event(input) : event
}

export interface JobDefinition<Input = never> {
  readonly traits: JobTraits<Input>
  readonly steps: readonly Step[]
  /** What only the finished job can tell, such as a password made for it. */
  readonly result: (made: never) => Record<string, unknown>
  /** Done in the transaction that ends the job as failed or cancelled, whatever it had begun. */
  readonly onFailure: (context: never) => Promise<void>
}

/** A job under construction; every method returns a new one, and is itself a complete definition. */
export class JobBuilder<Input, Made> implements JobDefinition<Input> {
  readonly traits: JobTraits<Input>
  readonly steps: readonly Step[]
  readonly result: (made: Made) => Record<string, unknown>
  readonly onFailure: (context: RecordContext<Input, object>) => Promise<void>

  constructor(
    traits: JobTraits<Input>,
    steps: readonly Step[],
    result: (made: Made) => Record<string, unknown> = () => ({}),
    onFailure: (context: RecordContext<Input, object>) => Promise<void> = async () => {},
  ) {
    this.traits = traits
    this.steps = steps
    this.result = result
    this.onFailure = onFailure
  }

  returning(result: (made: Made) => Record<string, unknown>): JobBuilder<Input, Made> {
    return new JobBuilder(this.traits, this.steps, result, this.onFailure)
  }

  whenItFails(onFailure: (context: RecordContext<Input, object>) => Promise<void>): JobBuilder<Input, Made> {
    return new JobBuilder(this.traits, this.steps, this.result, onFailure)
  }

  record<N extends string, R>(
    name: N,
    step: {
      do: (context: RecordContext<Input, Made>) => Promise<R>
      undo: Undo<RecordContext<Input, Made>>
    },
  ): JobBuilder<Input, Made & Record<N, Awaited<R>>> {
    return new JobBuilder(this.traits, [...this.steps, { name, sort: 'record', ...step }])
  }

  act<N extends string, R>(
    name: N,
    step: {
      do: (context: StepContext<Input, Made>) => Promise<R>
      undo: Undo<StepContext<Input, Made>>
      weight?: number
    },
  ): JobBuilder<Input, Made & Record<N, Awaited<R>>> {
    return new JobBuilder(this.traits, [...this.steps, { name, sort: 'act', ...step }])
  }

  /** An act that is done only when what was made before demands it. */
  actWhen<N extends string, R>(
    name: N,
    step: {
      when: (made: Made) => boolean
      do: (context: StepContext<Input, Made>) => Promise<R>
      undo: Undo<StepContext<Input, Made>>
      weight?: number
    },
  ): JobBuilder<Input, Made & Partial<Record<N, Awaited<R>>>> {
    return new JobBuilder(this.traits, [...this.steps, { name, sort: 'act', ...step }])
  }
}

export function defineJob<Input>(traits: JobTraits<Input>): JobBuilder<Input, object> {
  return new JobBuilder<Input, object>(traits, [])
}

/** Thrown by a step that can go on only when `job` has ended; the step runs again then. */
export class WaitForJob extends Error {
  readonly job: JobId
  constructor(job: JobId) {
    super(`waits for job ${job}`)
    this.job = job
  }
}
