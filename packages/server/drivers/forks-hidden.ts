// Forks are snapshots of the hypervisor that are no VM snapshots: what hangs on one hangs, for the server, on what that hangs on.
import type { SnapshotFacts } from './forest.ts'

export function withoutForks(all: readonly (SnapshotFacts & { readonly isFork: boolean })[]): SnapshotFacts[] {
  const byKey = new Map(all.map(each => [each.key, each]))
  const shown = (key: string | null): string | null => {
    const found = key === null ? undefined : byKey.get(key)
    return found?.isFork ? shown(found.parent) : key
  }
  const current = shown(all.find(({ isCurrent }) => isCurrent)?.key ?? null)
  return all
    .filter(({ isFork }) => !isFork)
    .map(({ id, key, name, parent, withMemory, createdAt }) => {
      return { id, key, name, parent: shown(parent), isCurrent: key === current, withMemory, createdAt }
    })
}
