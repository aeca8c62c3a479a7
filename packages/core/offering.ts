// What a service offering gives a machine. A fixed one says it all; a custom one leaves CPUs, their speed or memory open,
// perhaps within limits, and the call fills the gaps.

/** CPUs, MHz of each and MiB of memory of one machine. */
export interface Sizes {
  readonly cpus: number
  readonly cpuMhz: number
  readonly memoryMib: number
}

/** As the database has it; null is what each machine says for itself. */
export interface OfferedSizes {
  readonly name: string
  readonly cpus: number | null
  readonly cpu_mhz: number | null
  readonly memory_mib: number | null
  readonly min_cpus: number | null
  readonly max_cpus: number | null
  readonly min_memory_mib: number | null
  readonly max_memory_mib: number | null
}

/** The parameters `details[0].…` by which a call fills the gaps, in lower case as the door has them. */
export const customSizes = ['cpunumber', 'cpuspeed', 'memory'] as const
export type CustomSize = (typeof customSizes)[number]

/** What no machine goes below or beyond, whatever its offering says. */
export const sizeLimits = {
  cpunumber: [1, 255],
  cpuspeed: [1, 1_000_000],
  memory: [32, 16 * 1024 * 1024],
} as const satisfies Record<CustomSize, readonly [least: number, most: number]>

const spelled = { cpunumber: 'cpuNumber', cpuspeed: 'cpuSpeed', memory: 'memory' } as const

export function isCustomized(offering: OfferedSizes): boolean {
  return [offering.cpus, offering.cpu_mhz, offering.memory_mib].includes(null)
}

export interface SizeRefusal {
  /** The parameter at fault, as clients spell it. */
  readonly parameter: string
  readonly refusal: string
}

/** The sizes of a machine of `offering` for which the call says `asked`, or why it cannot have them. */
export function sizesOf(offering: OfferedSizes, asked: ReadonlyMap<string, string>): Sizes | SizeRefusal {
  const { min_cpus, max_cpus, min_memory_mib, max_memory_mib } = offering
  const cpus = sizeOf(offering, offering.cpus, 'cpunumber', asked, [min_cpus, max_cpus])
  const cpuMhz = sizeOf(offering, offering.cpu_mhz, 'cpuspeed', asked, [null, null])
  const memoryMib = sizeOf(offering, offering.memory_mib, 'memory', asked, [min_memory_mib, max_memory_mib])
  if (typeof cpus === 'object') return cpus
  if (typeof cpuMhz === 'object') return cpuMhz
  if (typeof memoryMib === 'object') return memoryMib
  return { cpus, cpuMhz, memoryMib }
}

function sizeOf(
  { name }: OfferedSizes,
  fixed: number | null,
  key: CustomSize,
  asked: ReadonlyMap<string, string>,
  [least, most]: readonly [number | null, number | null],
): number | SizeRefusal {
  const said = asked.get(key)
  const refused = (refusal: string) => ({ parameter: `details[0].${spelled[key]}`, refusal })
  if (fixed !== null) return said === undefined ? fixed : refused(`is fixed by the offering ${name}; leave it out`)
  if (said === undefined) return refused(`is missing; the custom offering ${name} leaves it to each machine`)
  const [from, to] = [least ?? sizeLimits[key][0], most ?? sizeLimits[key][1]]
  const value = /^\d{1,9}$/.test(said) ? Number(said) : Number.NaN
  if (Number.isNaN(value)) return refused(`must be a whole number; "${said}" is none`)
  if (value < from || value > to)
    return refused(`must be from ${from} to ${to} with the offering ${name}; it is ${value}`)
  return value
}
