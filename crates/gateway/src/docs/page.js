"use strict";
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  showExtensions: true,
  // Nothing is asked of a validator elsewhere.
  validatorUrl: null,
});
