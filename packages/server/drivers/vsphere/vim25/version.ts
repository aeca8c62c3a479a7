// Versions of the API, such as 6.7.3 and 8.0.3.0.

export function atLeast(version: string, wanted: string): boolean {
  const [have, want] = [version.split('.').map(Number), wanted.split('.').map(Number)]
  for (const [at, part] of want.entries()) {
    const difference = (have[at] ?? 0) - part
    if (difference !== 0) return difference > 0
  }
  return true
}

/** The newest version that we know the schema of. */
export const newest = '8.0.3.0'

/** The highest version of `served` that both sides know; null when the server is older than all that we speak. */
export function chooseVersion(served: readonly string[]): string | null {
  const usable = served.filter(each => /^\d+(\.\d+)*$/.test(each) && atLeast(newest, each) && atLeast(each, '5.0'))
  return usable.toSorted((a, b) => (atLeast(a, b) ? -1 : 1))[0] ?? null
}

export function lower(one: string, other: string): string {
  return atLeast(one, other) ? other : one
}
