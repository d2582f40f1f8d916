import { time } from '../format'
import { t } from '../text'

// live says whether changes are seen as they come.
export const live = (s: { live: boolean; since: number }): string => (s.live ? t.liveSince(time(s.since, true)) : t.notLiveSince(time(s.since, true)))
