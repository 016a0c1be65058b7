// libtorch's headers include gloo's, but its packages leave them out. These stand-ins declare what
// ProcessGroupGloo.hpp names; `ranks.cpp` checks the size of the class against the library's.
#pragma once
