// Guessing passwords is slow here: after some failures of one user name from one address, the next tries must wait. Kept in
// memory, since a new start costs a guesser more than it gives.

const most = 10
const windowMs = 5 * 60_000
/** More than this many names at once are a flood; the oldest go first. */
const mostKept = 100_000

export interface LoginAttempts {
  /** Seconds until another try is heard; 0 when it is heard now. */
  waitSeconds(who: string): number
  failed(who: string): void
  succeeded(who: string): void
}

export function loginAttempts(now: () => number = Date.now): LoginAttempts {
  const failures = new Map<string, { count: number; first: number }>()
  const current = (who: string) => {
    const found = failures.get(who)
    return found && now() - found.first < windowMs ? found : undefined
  }
  return {
    waitSeconds(who) {
      const found = current(who)
      return found && found.count >= most ? Math.ceil((found.first + windowMs - now()) / 1000) : 0
    },
    failed(who) {
      const { count, first } = current(who) ?? { count: 0, first: now() }
      failures.delete(who) // so that a Map's order is that of age
      failures.set(who, { count: count + 1, first })
      if (failures.size > mostKept) failures.delete(failures.keys().next().value ?? who)
    },
    succeeded: who => void failures.delete(who),
  }
}
