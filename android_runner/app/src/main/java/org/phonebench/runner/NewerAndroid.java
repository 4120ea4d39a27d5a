package org.phonebench.runner;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Marks what calls more than Android 8 has, behind a look at the version: the build's guard leaves it alone. */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.CLASS)
@interface NewerAndroid {}
