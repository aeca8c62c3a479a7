// Times of a schedule as cron(8) writes them: minute, hour, day of the month, month, day of the week, in UTC.

const fields = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of the month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12 },
  { name: 'day of the week', least: 0, most: 7 }, // 0 and 7 are Sunday
] as const

type Field = (typeof fields)[number]

/** Why `text` is no schedule, as a sentence; null when it is one. */
export function scheduleRefusal(text: string): string | null {
  const words = text.trim().split(/\s+/)
  if (words.length !== fields.length)
    return `a schedule has five fields, such as "0 3 * * *" for 03:00 UTC every day; "${text}" has ${words.length}`
  const wrong = fields.find((field, index) => valuesOf(words[index] ?? '', field) === null)
  return wrong ? `its ${wrong.name} takes numbers from ${wrong.least} to ${wrong.most}, as in 1, 1-5, 1,3 or */2` : null
}

/** Whether a minute after `from`, and not after `to`, is one of the schedule's. Looks back a day at most. */
export function isDueBetween(schedule: string, from: Date, to: Date): boolean {
  const minute = 60_000
  const last = Math.floor(to.getTime() / minute)
  const first = Math.max(Math.floor(from.getTime() / minute) + 1, last - 24 * 60)
  for (let each = first; each <= last; each += 1) if (isDue(schedule, new Date(each * minute))) return true
  return false
}

function isDue(schedule: string, at: Date): boolean {
  const words = schedule.trim().split(/\s+/)
  const now = [at.getUTCMinutes(), at.getUTCHours(), at.getUTCDate(), at.getUTCMonth() + 1, at.getUTCDay()]
  const [minute, hour, day, month, weekday] = fields.map(
    (field, index) => valuesOf(words[index] ?? '', field)?.has(now[index] ?? -1) ?? false,
  )
  // Where both days are restricted either will do (crontab(5)).
  const isRestricted = [words[2], words[4]].every(word => !word?.startsWith('*'))
  return Boolean(minute && hour && month && (isRestricted ? day || weekday : day && weekday))
}

function valuesOf(word: string, field: Field): Set<number> | null {
  const values = new Set<number>()
  for (const part of word.split(',')) {
    const range = rangeOf(part, field)
    if (!range) return null
    for (let value = range.first; value <= range.last; value += range.step)
      values.add(value === 7 && field.most === 7 ? 0 : value)
  }
  return values
}

function rangeOf(part: string, { least, most }: Field) {
  const [, all, from, to, step] = /^(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part) ?? []
  if (!all && from === undefined) return null
  const first = all ? least : Number(from)
  const last = all || (step && to === undefined) ? most : Number(to ?? from)
  const range = { first, last, step: Number(step ?? 1) }
  return first >= least && last <= most && first <= last && range.step > 0 ? range : null
}
