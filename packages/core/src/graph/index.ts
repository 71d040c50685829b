export { createRouteFinder, findRoutes, type RouteFinder, type RouteQuestion } from './findRoutes.js';
export * from './graphError.js';
export * from './liquidityCodec.js';
export * from './liquidityEstimates.js';
export * from './networkGraph.js';
export * from './route.js';
export { defaultRouteWeights, type RouteWeights } from './routeWeights.js';
