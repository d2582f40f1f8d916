import { computed } from '@preact/signals'
import { language } from '../settings'
import { en } from './en'
import { ko } from './ko'

export type Text = typeof en
const text = computed<Text>(() => (language.value === 'ko' ? ko : en))

// t has every text in the language that is chosen; whoever reads it while drawing is drawn again in another.
export const t: Text = new Proxy({} as Text, { get: (_, key) => text.value[key as keyof Text] })
