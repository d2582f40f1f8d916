// What draws curves: a file of its own, loaded when the first is drawn.
export { default } from 'uplot'
