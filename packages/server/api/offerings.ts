// What service and disk offerings have in common: nobody owns them, and removed ones stay, Inactive, for the machines and
// disks that were made from them.
import { type Expression, sql, type SqlBool } from 'kysely'
import { choice, invalid } from './parameters.ts'

const states = ['Active', 'Inactive', 'All'] as const

export const offeringState = choice('those in a state; Active when absent', states)

export function offeringIsIn(state: (typeof states)[number] | undefined): Expression<SqlBool> {
  if (state === 'All') return sql<SqlBool>`true`
  return state === 'Inactive' ? sql<SqlBool>`removed is not null` : sql<SqlBool>`removed is null`
}

interface SizeParameters {
  readonly cpunumber: number | undefined
  readonly cpuspeed: number | undefined
  readonly memory: number | undefined
  readonly customized: boolean | undefined
  readonly mincpunumber: number | undefined
  readonly maxcpunumber: number | undefined
  readonly minmemory: number | undefined
  readonly maxmemory: number | undefined
}

/** What a new service offering fixes, and within which limits it leaves the rest to each machine. */
export function offeredSizes(params: SizeParameters) {
  const { cpunumber, cpuspeed, memory, customized } = params
  if (customized && cpunumber !== undefined && cpuspeed !== undefined && memory !== undefined)
    throw invalid('customized', 'leaves nothing open: cpunumber, cpuspeed and memory are all given')
  if (!customized && cpunumber === undefined) throw invalid('cpunumber', 'is missing, or customized is')
  if (!customized && memory === undefined) throw invalid('memory', 'is missing, or customized is')
  demandLimits(params, 'cpunumber')
  demandLimits(params, 'memory')
  return {
    cpus: cpunumber ?? null,
    cpu_mhz: cpuspeed ?? (customized ? null : 1000),
    memory_mib: memory ?? null,
    min_cpus: params.mincpunumber ?? null,
    max_cpus: params.maxcpunumber ?? null,
    min_memory_mib: params.minmemory ?? null,
    max_memory_mib: params.maxmemory ?? null,
  }
}

/** Limits are for what is left open, and the lower one comes first. */
function demandLimits(params: SizeParameters, name: 'cpunumber' | 'memory'): void {
  const [least, most] = [params[`min${name}`], params[`max${name}`]]
  for (const [limit, value] of [
    [`min${name}`, least],
    [`max${name}`, most],
  ] as const) {
    if (value === undefined) continue
    if (!params.customized) throw invalid(limit, 'is for customized offerings; give customized=true too')
    if (params[name] !== undefined) throw invalid(limit, `contradicts ${name}, which fixes it`)
  }
  if (least !== undefined && most !== undefined && least > most)
    throw invalid(`min${name}`, `is ${least}, more than max${name}, which is ${most}`)
}
