/* The Python module `_interpreter`: checks codes and runs tasks. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "check.h"
#include "choice.h"
#include "draws.h"

static Blas blas;

static int words_of(PyObject *object, Py_buffer *view) {
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS) < 0) return -1;
    if (view->len % 8 || (uintptr_t)view->buf % 8) {
        PyErr_SetString(PyExc_ValueError, "words of 64 bits are expected");
        PyBuffer_Release(view);
        return -1;
    }
    return 0;
}

static PyObject *use_blas(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *s, *d;
    if (!PyArg_ParseTuple(args, "OO:use_blas", &s, &d)) return NULL;
    void *sgemm = PyCapsule_GetPointer(s, PyCapsule_GetName(s));
    void *dgemm = sgemm ? PyCapsule_GetPointer(d, PyCapsule_GetName(d)) : NULL;
    if (!dgemm) return NULL;
    blas.s = (Sgemm)sgemm;
    blas.d = (Dgemm)dgemm;
    Py_RETURN_NONE;
}

/* In a fraction of the time that an array's `ctypes` takes. */
static PyObject *address(PyObject *module, PyObject *array) {
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(array, &view, PyBUF_STRIDED_RO) < 0) return NULL;
    PyObject *found = PyLong_FromVoidPtr(view.buf);
    PyBuffer_Release(&view);
    return found;
}

static PyObject *check(PyObject *module, PyObject *code) {
    (void)module;
    Py_buffer view;
    if (words_of(code, &view) < 0) return NULL;
    const char *problem = check_code(view.buf, view.len / 8);
    PyBuffer_Release(&view);
    if (problem) return PyErr_Format(PyExc_ValueError, "This is no program: %s.", problem);
    Py_RETURN_NONE;
}

#define TEAM "skopt_dl_native.team"

static void free_capsule(PyObject *capsule) { free_team(PyCapsule_GetPointer(capsule, TEAM)); }

static PyObject *team(PyObject *module, PyObject *given) {
    (void)module;
    const long long n_threads = PyLong_AsLongLong(given);
    if (n_threads == -1 && PyErr_Occurred()) return NULL;
    Team *made = new_team(n_threads);
    if (!made) return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(made, TEAM, free_capsule);
    if (!capsule) free_team(made);
    return capsule;
}

static PyObject *dismiss_team(PyObject *module, PyObject *capsule) {
    (void)module;
    Team *found = PyCapsule_GetPointer(capsule, TEAM);
    if (!found) return NULL;
    dismiss(found);
    Py_RETURN_NONE;
}

static PyObject *help_team(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *capsule, *scratch_given, *slots_given;
    Py_buffer scratch, slots;
    if (!PyArg_ParseTuple(args, "OOO:help", &capsule, &scratch_given, &slots_given)) return NULL;
    Team *found = PyCapsule_GetPointer(capsule, TEAM);
    if (!found || words_of(scratch_given, &scratch) < 0) return NULL;
    if (words_of(slots_given, &slots) < 0) {
        PyBuffer_Release(&scratch);
        return NULL;
    }
    const int has_room = slots.len >= SLOT_BYTES;
    if (!has_room) PyErr_SetString(PyExc_ValueError, "There is too little memory.");
    Py_BEGIN_ALLOW_THREADS
    if (has_room) help(found, scratch.buf, slots.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&scratch);
    PyBuffer_Release(&slots);
    if (!has_room) return NULL;
    Py_RETURN_NONE;
}

static PyObject *run(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *tasks_given, *scratch_given, *slots_given, *capsule = Py_None, *cell = Py_None;
    long long first, last, first_model, last_model;
    Py_buffer tasks, scratch, slots;
    if (!PyArg_ParseTuple(args, "OLLLLOO|OO:run", &tasks_given, &first, &last, &first_model,
                          &last_model, &scratch_given, &slots_given, &capsule, &cell))
        return NULL;
    Team *helpers = capsule != Py_None ? PyCapsule_GetPointer(capsule, TEAM) : NULL;
    if (capsule != Py_None && !helpers) return NULL;
    if (cell != Py_None && PyByteArray_Size(cell) < 1) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "There is no room in is_done.");
        return NULL;
    }
    if (!blas.d) return PyErr_Format(PyExc_RuntimeError, "use_blas has not been called");
    if (words_of(tasks_given, &tasks) < 0) return NULL;
    if (words_of(scratch_given, &scratch) < 0) {
        PyBuffer_Release(&tasks);
        return NULL;
    }
    if (words_of(slots_given, &slots) < 0) {
        PyBuffer_Release(&tasks);
        PyBuffer_Release(&scratch);
        return NULL;
    }
    const int64_t n_tasks = tasks.len / (int64_t)sizeof(Task);
    const Task *found = tasks.buf;
    int failed = first < 0 || last > n_tasks || first_model < 0 || slots.len < SLOT_BYTES;
    for (int64_t t = first; !failed && t < last; t++)
        failed = scratch.len < found[t].code[3];
    if (failed) {
        PyErr_SetString(PyExc_ValueError, "There are no such tasks, or too little memory.");
    } else {
        Py_BEGIN_ALLOW_THREADS
        failed = interpreter()(found + first, last - first, first_model, last_model, scratch.buf,
                               slots.buf, &blas, helpers);
        Py_END_ALLOW_THREADS
        if (failed)
            PyErr_SetString(PyExc_IndexError, "An index is out of range for its table.");
        else if (cell != Py_None)
            *PyByteArray_AsString(cell) = 1;
    }
    PyBuffer_Release(&tasks);
    PyBuffer_Release(&scratch);
    PyBuffer_Release(&slots);
    if (failed) return NULL;
    Py_RETURN_NONE;
}

static PyObject *draw(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *states_given, *draws_given;
    Py_buffer states, draws;
    if (!PyArg_ParseTuple(args, "OO:draw", &states_given, &draws_given)) return NULL;
    if (PyObject_GetBuffer(states_given, &states, PyBUF_WRITABLE) < 0) return NULL;
    if (words_of(draws_given, &draws) < 0) {
        PyBuffer_Release(&states);
        return NULL;
    }
    const int64_t n_draws = draws.len / (int64_t)sizeof(Draw);
    const int64_t n_states = states.len / (int64_t)sizeof(State);
    const Draw *found = draws.buf;
    int fits = draws.len % (int64_t)sizeof(Draw) == 0, is_done = 0;
    for (int64_t i = 0; i < n_draws; i++)
        fits = fits && found[i].generator >= 0 && found[i].generator < n_states;
    Py_BEGIN_ALLOW_THREADS
    if (fits) is_done = draw_all(states.buf, found, n_draws);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&states);
    PyBuffer_Release(&draws);
    if (!fits)
        return PyErr_Format(PyExc_ValueError, "draws of five words each are expected, and a state of "
                                              "40 bytes for each generator");
    return PyBool_FromLong(is_done);
}

static PyMethodDef methods[] = {
    {"use_blas", use_blas, METH_VARARGS, "Take sgemm and dgemm from capsules."},
    {"address", address, METH_O, "Where the first element of an array is."},
    {"check", check, METH_O, "Raise ValueError where words are no code."},
    {"run", run, METH_VARARGS,
     "run(tasks, first, last, first_model, last_model, scratch, slots[, team]): without the "
     "interpreter lock."},
    {"draw", draw, METH_VARARGS,
     "draw(states, draws): draw from generators, whose states move on; False where there are no "
     "integers of 128 bits."},
    {"team", team, METH_O, "A team of so many threads, the one that runs included."},
    {"help", help_team, METH_VARARGS,
     "help(team, scratch, slots): do parts of what a run with the team shares, until it is dismissed."},
    {"dismiss", dismiss_team, METH_O, "Let the helpers of a team return."},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    if (PyModule_AddIntConstant(module, "SLOT_BYTES", SLOT_BYTES) < 0) return -1;
    if (PyModule_AddIntConstant(module, "TILE_BYTES", TILE_BYTES) < 0) return -1;
    if (PyModule_AddIntConstant(module, "N_SLOTS", N_SLOTS) < 0) return -1;
    if (PyModule_AddIntConstant(module, "ORDER", ORDER) < 0) return -1;
    if (PyModule_AddIntConstant(module, "BITS", BITS) < 0) return -1;
    if (PyModule_AddIntConstant(module, "ONES", ONES) < 0) return -1;
    PyObject *lowest = PyLong_FromLongLong(OF_ADDRESSES);
    const int failed = !lowest || PyModule_AddObjectRef(module, "OF_ADDRESSES", lowest) < 0;
    Py_XDECREF(lowest);
    if (failed) return -1;
    return PyModule_AddStringConstant(module, "INSTRUCTIONS", instruction_set());
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_interpreter", "Programs of skopt_dl, run in C.", 0, methods, module_slots,
    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__interpreter(void) { return PyModuleDef_Init(&definition); }
