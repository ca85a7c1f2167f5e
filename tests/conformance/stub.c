/* Stands in for libnvinfer, libnvinfer_plugin and libnvonnxparser: the nine functions which the
 * Python bindings link against. It is enough to import them and to look; nothing here is run. */

void *createInferBuilder_INTERNAL(void) { return 0; }
void *createInferRefitter_INTERNAL(void) { return 0; }
void *createInferRuntime_INTERNAL(void) { return 0; }
void *createNvOnnxParser_INTERNAL(void) { return 0; }
void *createNvOnnxParserRefitter_INTERNAL(void) { return 0; }
void *getBuilderPluginRegistry(int capability) { return (void)capability, (void *)0; }
void *getPluginRegistry(void) { return 0; }
int getNvOnnxParserVersion(void) { return 0; }
int initLibNvInferPlugins(void *logger, const char *name) { return (void)logger, (void)name, 1; }
