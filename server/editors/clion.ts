/** CLion: a run configuration of the kind Remote Debug, which CLion finds in the project's folder. */
import { inFolder, type Editor } from './editor.ts';

function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}

export const clion: Editor = {
  name: 'clion',
  needs: 'nothing: choose the run configuration Exoscope and Debug',
  files: (setup) => [
    {
      path: '.idea/runConfigurations/Exoscope.xml',
      content: `<component name="ProjectRunConfigurationManager">
  <configuration default="false" name="Exoscope" type="CLion_Remote" version="1" remoteCommand="${attribute(
    setup.address,
  )}" symbolFile="${attribute(inFolder(setup.image, '$PROJECT_DIR$'))}" sysroot="">
    <debugger kind="GDB" isBundled="true" />
    <method v="2" />
  </configuration>
</component>
`,
    },
  ],
};
